//! The tests of Jinja2.

use std::rc::Rc;

use super::Test;
use crate::jinja::failure::{Res, fail};
use crate::jinja::interpreter::{Args, Env, Run};
use crate::jinja::operators::{binary, compare, contains, equal};
use crate::jinja::syntax::tree::{Comparison, Operator};
use crate::jinja::value::Val;

/// A test of Jinja2.
pub(super) fn test(name: &str) -> Option<Test> {
    Some(match name {
        "defined" => |_, _, value, _| Ok(!value.is_undefined()),
        "undefined" => |_, _, value, _| Ok(value.is_undefined()),
        "none" => |_, _, value, _| Ok(matches!(value, Val::None)),
        "boolean" => |_, _, value, _| Ok(matches!(value, Val::Bool(_))),
        "true" => |_, _, value, _| Ok(matches!(value, Val::Bool(true))),
        "false" => |_, _, value, _| Ok(matches!(value, Val::Bool(false))),
        "integer" => |_, _, value, _| Ok(matches!(value, Val::Int(_))),
        "float" => |_, _, value, _| Ok(matches!(value, Val::Float(_))),
        "number" => |_, _, value, _| Ok(matches!(value, Val::Int(_) | Val::Float(_) | Val::Bool(_))),
        "string" => |_, _, value, _| Ok(matches!(value, Val::Str(_))),
        "mapping" => |_, _, value, _| Ok(matches!(value, Val::Dict(_))),
        "sequence" => |run, _, value, _| {
            Ok(match value {
                Val::View(..) => false,
                _ => run.length(value)?.is_some(),
            })
        },
        "iterable" => |run, _, value, _| {
            Ok(match value {
                Val::Iterator(_) | Val::Loop(_) => true,
                Val::Foreign(object) => object.try_iter().is_ok(),
                _ => run.length(value)?.is_some(),
            })
        },
        "callable" => |_, _, value, _| {
            Ok(matches!(
                value,
                Val::Callable(_) | Val::Joiner(_) | Val::Loop(_) | Val::Undefined(_)
            ))
        },
        "escaped" => |_, _, _, _| Ok(false),
        "odd" => |run, _, value, _| has_rest(run, value, &Val::Int(2), 1),
        "even" => |run, _, value, _| has_rest(run, value, &Val::Int(2), 0),
        "divisibleby" => |run, _, value, args| {
            let [Some(divisor)] = args.bind("divisibleby", ["num"])? else {
                fail!("`divisibleby` needs a number");
            };
            has_rest(run, value, &divisor, 0)
        },
        "lower" => |run, _, value, _| {
            let text = run.text(value)?;
            Ok(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase))
        },
        "upper" => |run, _, value, _| {
            let text = run.text(value)?;
            Ok(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase))
        },
        "eq" | "equalto" | "==" => |run, _, value, args| compared(run, Comparison::Equal, value, args),
        "ne" | "!=" => |run, _, value, args| compared(run, Comparison::Unequal, value, args),
        "lt" | "lessthan" | "<" => |run, _, value, args| compared(run, Comparison::Less, value, args),
        "le" | "<=" => |run, _, value, args| compared(run, Comparison::LessOrEqual, value, args),
        "gt" | "greaterthan" | ">" => |run, _, value, args| compared(run, Comparison::Greater, value, args),
        "ge" | ">=" => |run, _, value, args| compared(run, Comparison::GreaterOrEqual, value, args),
        "in" => |run, _, value, args| {
            let [Some(container)] = args.bind("in", ["seq"])? else {
                fail!("`in` needs a container");
            };
            contains(run, &container, value)
        },
        "sameas" => same_as,
        "filter" => |run, _, value, args| exists(run, value, args, true),
        "test" => |run, _, value, args| exists(run, value, args, false),
        _ => return None,
    })
}

fn compared(run: &Run<'_>, comparison: Comparison, value: &Val, args: &Args) -> Res<bool> {
    let [Some(other)] = args.bind("a comparison", ["other"])? else {
        fail!("a comparison needs another value");
    };
    compare(run, comparison, value, &other)
}

fn has_rest(run: &Run<'_>, value: &Val, divisor: &Val, rest: i128) -> Res<bool> {
    if let (Val::Int(number), Val::Int(2)) = (value, divisor) {
        return Ok(number & 1 == rest);
    }
    if let (Val::Str(_), _) | (_, Val::Str(_)) = (value, divisor) {
        fail!("a str has no remainder");
    }
    let found = binary(run, Operator::Modulo, value, divisor)?;
    equal(&found, &Val::Int(rest), 0)
}

fn same_as(_run: &Run<'_>, _env: &Env, value: &Val, args: &Args) -> Res<bool> {
    let [Some(other)] = args.bind("sameas", ["other"])? else {
        fail!("`sameas` needs another value");
    };
    Ok(match (value, &other) {
        (Val::None, Val::None) => true,
        (Val::Bool(left), Val::Bool(right)) => left == right,
        (Val::Int(left), Val::Int(right)) => left == right,
        (Val::Str(left), Val::Str(right)) => left == right,
        (Val::List(left), Val::List(right)) => Rc::ptr_eq(left, right),
        (Val::Tuple(left), Val::Tuple(right)) => Rc::ptr_eq(left, right),
        (Val::Dict(left), Val::Dict(right)) | (Val::Namespace(left), Val::Namespace(right)) => {
            Rc::ptr_eq(left, right)
        }
        _ => false,
    })
}

fn exists(run: &Run<'_>, value: &Val, args: &Args, is_filter: bool) -> Res<bool> {
    let [] = args.bind("filter", [])?;
    let Some(name) = value.as_str() else {
        return Ok(false);
    };
    let is_ours = if is_filter {
        super::filter(name).is_some()
    } else {
        super::test(name).is_some()
    };
    Ok(is_ours || run.has_foreign(name, is_filter))
}
