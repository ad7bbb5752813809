//! Values of rendering from and to those of minijinja, in which variables come and which the filters of networks use.

use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use lockstep_protocol::SmolStr;
use minijinja::Value;
use minijinja::value::{Tuple, ValueKind};

use super::failure::{Failure, Res, fail};
use super::interpreter::Run;
use super::value::{Dict, Entries, Key, List, MAX_NESTING, Val};

/// The value of a variable or of the result of a filter.
pub(super) fn from_foreign(run: &Run<'_>, value: &Value) -> Res<Val> {
    if value.kind() == ValueKind::Iterable {
        let mut items = Vec::new();
        for item in iterate(value)? {
            run.allocate_items(1)?;
            items.push(convert(&item, 0)?);
        }
        return Ok(Val::generator(items));
    }
    if value.as_object().is_some() {
        run.allocate_items(value.len().unwrap_or(0))?;
    }
    convert(value, 0)
}

fn convert(value: &Value, depth: usize) -> Res<Val> {
    if depth > MAX_NESTING {
        fail!("a value is nested more than {MAX_NESTING} deep");
    }
    Ok(match value.kind() {
        ValueKind::Undefined => Val::Undefined(None),
        ValueKind::None => Val::None,
        ValueKind::Bool => Val::Bool(value.is_true()),
        ValueKind::Number => match value.as_i64() {
            Some(number) if value.is_integer() => Val::Int(number.into()),
            _ => number(value)?,
        },
        ValueKind::String => Val::Str(text(value)),
        ValueKind::Seq if value.downcast_object_ref::<Vec<Value>>().is_some() => {
            Val::List(Rc::new(List::of(value)))
        }
        ValueKind::Seq => {
            let items = iterate(value)?
                .map(|item| convert(&item, depth + 1))
                .collect::<Res<_>>()?;
            if value.is_tuple() {
                Val::tuple(items)
            } else {
                Val::list(items)
            }
        }
        ValueKind::Map if value.downcast_object_ref::<IndexMap<Value, Value>>().is_some() => {
            Val::Dict(Rc::new(Dict::of(value)))
        }
        ValueKind::Map if value.as_object().is_some() => {
            let mut entries = Entries::default();
            for key in iterate(value)? {
                let item = value.get_item(&key).map_err(|error| failure(&error))?;
                entries.insert(Key::new(convert(&key, depth + 1)?)?, convert(&item, depth + 1)?);
            }
            Val::dict(entries)
        }
        ValueKind::Invalid => fail!("{value}"),
        _ => Val::Foreign(value.clone()),
    })
}

/// The text of a value: of a short one a copy in place, of a long one the same allocation.
fn text(value: &Value) -> SmolStr {
    match value.as_str() {
        Some(text) if text.len() <= 22 => SmolStr::new(text),
        _ => value.to_str().map(SmolStr::from).unwrap_or_default(),
    }
}

fn number(value: &Value) -> Res<Val> {
    if let Some(number) = i128::try_from(value.clone()).ok().filter(|_| value.is_integer()) {
        return Ok(Val::Int(number));
    }
    match f64::try_from(value.clone()) {
        Ok(number) => Ok(Val::Float(number)),
        Err(_) => fail!("the number {value} is too large"),
    }
}

/// What cannot be one of our values stays what it is.
fn convert_item(value: &Value) -> Val {
    convert(value, 0).unwrap_or_else(|_| Val::Foreign(value.clone()))
}

/// The items of a list.
pub(super) fn items(value: &Value) -> Vec<Val> {
    let items = value.downcast_object_ref::<Vec<Value>>();
    items.map_or_else(Vec::new, |items| items.iter().map(convert_item).collect())
}

/// The entries of a dictionary.
pub(super) fn entries(value: &Value) -> Entries {
    let map = value.downcast_object_ref::<IndexMap<Value, Value>>();
    let entry = |(key, item): (&Value, &Value)| {
        let key = Key::new(convert_item(key)).unwrap_or_else(|_| Key::text(&key.to_string()));
        (key, convert_item(item))
    };
    map.map_or_else(Entries::default, |map| map.iter().map(entry).collect())
}

fn iterate(value: &Value) -> Res<minijinja::value::ValueIter> {
    value.try_iter().map_err(|error| failure(&error))
}

/// The value for a filter of networks.
pub(super) fn to_foreign(run: &Run<'_>, value: &Val) -> Res<Value> {
    convert_back(run, value, 0)
}

fn convert_back(run: &Run<'_>, value: &Val, depth: usize) -> Res<Value> {
    if depth > MAX_NESTING {
        fail!("a value is nested more than {MAX_NESTING} deep");
    }
    let unused = match value {
        Val::List(list) => list.unused(),
        Val::Dict(dict) => dict.unused(),
        _ => None,
    };
    if let Some(unused) = unused {
        return Ok(unused);
    }
    Ok(match value {
        Val::Undefined(_) => Value::UNDEFINED,
        Val::None => Value::from(()),
        Val::Bool(truth) => Value::from(*truth),
        Val::Int(number) => i64::try_from(*number).map_or_else(|_| Value::from(*number), Value::from),
        Val::Float(number) => Value::from(*number),
        Val::Str(text) if text.is_heap_allocated() => Value::from(Arc::<str>::from(text.clone())),
        Val::Str(text) => Value::from(text.as_str()),
        Val::Foreign(object) => object.clone(),
        Val::Dict(dict) | Val::Namespace(dict) => {
            let entries = dict.borrow();
            run.allocate_items(entries.len() * 2)?;
            let pairs = entries.iter().map(|(key, value)| {
                let key = convert_back(run, key.value(), depth + 1)?;
                Ok((key, convert_back(run, value, depth + 1)?))
            });
            Value::from_pairs(pairs.collect::<Res<Vec<_>>>()?)
        }
        Val::List(_) | Val::Tuple(_) | Val::View(..) | Val::Range(_) | Val::Iterator(_) => {
            let items = run.iterate(value)?;
            run.allocate_items(items.len())?;
            let items = items.iter().map(|item| convert_back(run, item, depth + 1));
            let items = items.collect::<Res<Vec<Value>>>()?;
            if matches!(value, Val::Tuple(_)) {
                Value::from_object(Tuple::new(items))
            } else {
                Value::from(items)
            }
        }
        _ => fail!("a {} cannot be given to this filter", value.type_name()),
    })
}

/// What a filter, test or method of minijinja fails with.
pub(super) fn failure(error: &minijinja::Error) -> Failure {
    let mut reason = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        reason = format!("{reason}: {error}");
        source = error.source();
    }
    Failure::new(reason)
}
