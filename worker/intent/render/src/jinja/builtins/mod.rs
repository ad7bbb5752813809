//! The filters, tests and functions of Jinja2.

mod functions;
mod json;
mod numbers;
mod sequences;
mod tests;
mod texts;
mod wrap;

use lockstep_protocol::SmolStr;

use super::failure::{Res, fail};
use super::interpreter::{Args, Env, Run};
use super::value::Val;

pub(super) use functions::{Function, function};

/// A filter: its input and its arguments.
pub(super) type Filter = for<'r> fn(&Run<'r>, &Env, &Val, &Args) -> Res<Val>;

/// A test.
pub(super) type Test = for<'r> fn(&Run<'r>, &Env, &Val, &Args) -> Res<bool>;

/// A filter of Jinja2.
pub(super) fn filter(name: &str) -> Option<Filter> {
    sequences::filter(name)
        .or_else(|| texts::filter(name))
        .or_else(|| numbers::filter(name))
}

/// A test of Jinja2.
pub(super) fn test(name: &str) -> Option<Test> {
    tests::test(name)
}

/// An optional integer argument.
pub(super) fn integer(value: Option<&Val>, name: &str, default: i128) -> Res<i128> {
    match value {
        None => Ok(default),
        Some(value) => match value.as_int() {
            Some(number) => Ok(number),
            None => fail!("`{name}` is an integer, not {}", value.type_name()),
        },
    }
}

/// An optional size.
pub(super) fn size(value: Option<&Val>, name: &str, default: usize) -> Res<usize> {
    let Some(value) = value else {
        return Ok(default);
    };
    let number = integer(Some(value), name, 0)?;
    Ok(usize::try_from(number.max(0)).unwrap_or(usize::MAX))
}

/// An optional truth.
pub(super) fn truth(run: &Run<'_>, value: Option<&Val>, default: bool) -> Res<bool> {
    value.map_or(Ok(default), |value| run.truth(value))
}

/// An optional text.
pub(super) fn text(value: Option<&Val>, name: &str, default: &str) -> Res<SmolStr> {
    match value {
        None => Ok(default.into()),
        Some(Val::Str(text)) => Ok(text.clone()),
        Some(value) => fail!("`{name}` is a str, not {}", value.type_name()),
    }
}

/// A path such as `a.b.0`. One without parts is the path of a value to itself.
pub(super) struct Path(Vec<Val>);

impl Path {
    pub(super) fn new(path: Option<&Val>) -> Self {
        Self(match path {
            None | Some(Val::None) => Vec::new(),
            Some(Val::Str(path)) => path
                .split('.')
                .map(|part| {
                    part.parse::<u32>()
                        .map_or_else(|_| Val::from(part), |index| Val::Int(index.into()))
                })
                .collect(),
            Some(other) => vec![other.clone()],
        })
    }

    /// What is there in a value.
    pub(super) fn of(&self, run: &Run<'_>, value: &Val, default: Option<&Val>) -> Res<Val> {
        let default = default.filter(|default| !matches!(default, Val::None));
        let mut found = None;
        for part in &self.0 {
            let next = run.item(found.as_ref().unwrap_or(value), part)?;
            found = Some(match default {
                Some(default) if next.is_undefined() => default.clone(),
                _ => next,
            });
        }
        Ok(found.unwrap_or_else(|| value.clone()))
    }
}
