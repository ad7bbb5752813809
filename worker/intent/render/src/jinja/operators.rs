//! Python's operators on values.

use std::cmp::Ordering;
use std::rc::Rc;

use super::failure::{Res, fail};
use super::interpreter::Run;
use super::syntax::tree::{Comparison, Operator};
use super::value::{Key, MAX_NESTING, Range, Val, View, float_of, int_of};
use super::{convert, format};
use crate::filters;

/// Whether two values are equal.
///
/// # Errors
/// They are nested too deeply.
pub(super) fn equal(left: &Val, right: &Val, depth: usize) -> Res<bool> {
    equal_within(None, left, right, depth)
}

/// The same for values of any size: comparing costs fuel.
pub(super) fn equal_within(run: Option<&Run<'_>>, left: &Val, right: &Val, depth: usize) -> Res<bool> {
    if depth > MAX_NESTING {
        fail!("a value is nested more than {MAX_NESTING} deep");
    }
    if let Some(run) = run.filter(|_| depth > 0) {
        run.charge(1)?;
    }
    let all_equal = |left: &[Val], right: &[Val]| -> Res<bool> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (left, right) in left.iter().zip(right) {
            if !equal_within(run, left, right, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(match (left, right) {
        (Val::Str(left), Val::Str(right)) => left == right,
        (Val::None, Val::None) | (Val::Undefined(_), Val::Undefined(_)) => true,
        (Val::List(left), Val::List(right)) => {
            Rc::ptr_eq(left, right) || all_equal(&left.borrow(), &right.borrow())?
        }
        (Val::Tuple(left), Val::Tuple(right)) => {
            Rc::ptr_eq(left, right) || all_equal(left.items(), right.items())?
        }
        (Val::Dict(left), Val::Dict(right)) => {
            if Rc::ptr_eq(left, right) {
                return Ok(true);
            }
            let (left, right) = (left.borrow(), right.borrow());
            if left.len() != right.len() {
                return Ok(false);
            }
            for (key, value) in &*left {
                let Some(other) = right.get(key) else {
                    return Ok(false);
                };
                if !equal_within(run, value, other, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Val::View(View::Keys, left), Val::View(View::Keys, right)) => {
            let (left, right) = (left.borrow(), right.borrow());
            left.len() == right.len() && left.keys().all(|key| right.contains_key(key))
        }
        (Val::Range(left), Val::Range(right)) => {
            let ends = |range: &Range| (range.len(), range.get(0).and_then(|first| first.as_int()));
            ends(left) == ends(right) && (left.len() < 2 || left.step == right.step)
        }
        (Val::Foreign(left), Val::Foreign(right)) => left == right,
        (Val::Iterator(left), Val::Iterator(right)) => Rc::ptr_eq(left, right),
        (Val::Namespace(left), Val::Namespace(right)) => Rc::ptr_eq(left, right),
        (Val::Callable(left), Val::Callable(right)) => Rc::ptr_eq(left, right),
        _ => compare_numbers(left, right) == Some(Ordering::Equal),
    })
}

fn compare_numbers(left: &Val, right: &Val) -> Option<Ordering> {
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return Some(left.cmp(&right));
    }
    left.as_number()?.partial_cmp(&right.as_number()?)
}

/// How two values are ordered, as far as Python orders them.
///
/// # Errors
/// Python does not order them.
pub(super) fn order(run: &Run<'_>, left: &Val, right: &Val, depth: usize) -> Res<Ordering> {
    if depth > MAX_NESTING {
        fail!("a value is nested more than {MAX_NESTING} deep");
    }
    run.charge(1)?;
    let order_all = |left: &[Val], right: &[Val]| -> Res<Ordering> {
        for (left, right) in left.iter().zip(right) {
            if !equal_within(Some(run), left, right, depth + 1)? {
                return order(run, left, right, depth + 1);
            }
        }
        Ok(left.len().cmp(&right.len()))
    };
    match (left, right) {
        (Val::Str(left), Val::Str(right)) => Ok(left.cmp(right)),
        (Val::List(left), Val::List(right)) => order_all(&left.borrow(), &right.borrow()),
        (Val::Tuple(left), Val::Tuple(right)) => order_all(left.items(), right.items()),
        (Val::Foreign(left), Val::Foreign(right)) => Ok(left.cmp(right)),
        _ => {
            if let (Some(left_number), Some(right_number)) = (left.as_number(), right.as_number()) {
                // A value that is no number is neither less nor greater.
                return Ok(
                    compare_numbers(left, right).unwrap_or_else(|| left_number.total_cmp(&right_number))
                );
            }
            for value in [left, right] {
                if let Val::Undefined(name) = value {
                    return Err(Run::undefined(name.as_deref()));
                }
            }
            fail!("{} and {} cannot be ordered", left.type_name(), right.type_name());
        }
    }
}

/// The result of a comparison.
pub(super) fn compare(run: &Run<'_>, comparison: Comparison, left: &Val, right: &Val) -> Res<bool> {
    Ok(match comparison {
        Comparison::Equal | Comparison::Unequal => {
            run.use_value(left)?;
            run.use_value(right)?;
            equal_within(Some(run), left, right, 0)? == (comparison == Comparison::Equal)
        }
        Comparison::In => contains(run, right, left)?,
        Comparison::NotIn => !contains(run, right, left)?,
        _ => {
            let is_nan = |value: &Val| matches!(value, Val::Float(number) if number.is_nan());
            let order = order(run, left, right, 0)?;
            !is_nan(left)
                && !is_nan(right)
                && match comparison {
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    _ => order.is_ge(),
                }
        }
    })
}

/// Whether a container has an item.
pub(super) fn contains(run: &Run<'_>, container: &Val, item: &Val) -> Res<bool> {
    match container {
        Val::Str(text) => match item {
            Val::Str(part) => {
                run.charge_text(text.len())?;
                Ok(text.contains(&**part))
            }
            Val::Undefined(name) => Err(Run::undefined(name.as_deref())),
            _ => fail!("`in` of a str needs a str, not {}", item.type_name()),
        },
        Val::Dict(dict) | Val::View(View::Keys, dict) => {
            let key = Key::new(item.clone())?;
            Ok(dict.borrow().contains_key(&key))
        }
        Val::Undefined(name) => {
            run.use_undefined(name.as_deref())?;
            Ok(false)
        }
        Val::Range(range) => Ok(whole(item).is_some_and(|number| {
            let offset = number.checked_sub(range.start);
            let index = offset
                .filter(|offset| offset % range.step == 0)
                .map(|offset| offset / range.step);
            index.is_some_and(|index| usize::try_from(index).is_ok_and(|index| index < range.len()))
        })),
        Val::List(list) => {
            let items = list.borrow();
            run.charge(items.len() as u64 / 8)?;
            any_equal(run, &items, item)
        }
        Val::Tuple(tuple) => {
            run.charge(tuple.items().len() as u64 / 8)?;
            any_equal(run, tuple.items(), item)
        }
        Val::Foreign(network) if filters::is_network(network) => {
            Ok(filters::contains(network, &convert::to_foreign(run, item)?))
        }
        _ => any_equal(run, &run.iterate(container)?, item),
    }
}

fn any_equal(run: &Run<'_>, items: &[Val], item: &Val) -> Res<bool> {
    for other in items {
        if equal_within(Some(run), other, item, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The result of an arithmetic operator.
pub(super) fn binary(run: &Run<'_>, operator: Operator, left: &Val, right: &Val) -> Res<Val> {
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return integers(operator, left, right);
    }
    if let (Some(left), Some(right)) = (left.as_number(), right.as_number()) {
        return floats(operator, left, right);
    }
    if let (Operator::Modulo, Val::Str(text)) = (operator, left) {
        return format::percent(run, text, right).map(Val::from);
    }
    for value in [left, right] {
        if let Val::Undefined(name) = value {
            return Err(Run::undefined(name.as_deref()));
        }
    }
    match (operator, left, right) {
        (Operator::Add, Val::Str(first), Val::Str(second)) => {
            run.allocate(first.len() + second.len())?;
            Ok(Val::from(format!("{first}{second}")))
        }
        (Operator::Add, Val::List(first), Val::List(second)) => {
            let (first, second) = (first.borrow(), second.borrow());
            run.allocate_items(first.len() + second.len())?;
            Ok(Val::list(first.iter().chain(&*second).cloned().collect()))
        }
        (Operator::Add, Val::Tuple(first), Val::Tuple(second)) => {
            run.allocate_items(first.items().len() + second.items().len())?;
            Ok(Val::tuple(
                first.items().iter().chain(second.items()).cloned().collect(),
            ))
        }
        (Operator::Multiply, sequence, count) | (Operator::Multiply, count, sequence)
            if count.as_int().is_some() && matches!(sequence, Val::Str(_) | Val::List(_) | Val::Tuple(_)) =>
        {
            let count = usize::try_from(count.as_int().unwrap_or(0).max(0)).unwrap_or(usize::MAX);
            repeat(run, sequence, count)
        }
        (_, Val::Foreign(object), _) => {
            let method = match operator {
                Operator::Add => "__add__",
                Operator::Subtract => "__sub__",
                _ => return Err(unsupported(operator, left, right)),
            };
            let result = run.foreign_method(object, method, &[convert::to_foreign(run, right)?]);
            result.map_err(|_| unsupported(operator, left, right))
        }
        _ => Err(unsupported(operator, left, right)),
    }
}

fn unsupported(operator: Operator, left: &Val, right: &Val) -> super::failure::Failure {
    let sign = match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::FloorDivide => "//",
        Operator::Modulo => "%",
        Operator::Power => "**",
    };
    let (left, right) = (left.type_name(), right.type_name());
    super::failure::Failure::new(format!("`{sign}` is not possible between {left} and {right}"))
}

fn repeat(run: &Run<'_>, sequence: &Val, count: usize) -> Res<Val> {
    if let Val::Str(text) = sequence {
        run.allocate(text.len().saturating_mul(count))?;
        return Ok(Val::from(text.repeat(count)));
    }
    let items = run.iterate(sequence)?;
    run.allocate_items(items.len().saturating_mul(count))?;
    let repeated = std::iter::repeat_n(&items, count).flatten().cloned().collect();
    Ok(if matches!(sequence, Val::List(_)) {
        Val::list(repeated)
    } else {
        Val::tuple(repeated)
    })
}

fn integers(operator: Operator, left: i128, right: i128) -> Res<Val> {
    if right == 0
        && matches!(
            operator,
            Operator::Divide | Operator::FloorDivide | Operator::Modulo
        )
    {
        fail!("division by zero");
    }
    // Narrow integers cannot overflow here, and are much faster.
    let narrow = i64::try_from(left).ok().zip(i64::try_from(right).ok());
    if let Some((left, right)) = narrow {
        match operator {
            Operator::Add => return Ok(Val::Int(i128::from(left) + i128::from(right))),
            Operator::Subtract => return Ok(Val::Int(i128::from(left) - i128::from(right))),
            Operator::Multiply => return Ok(Val::Int(i128::from(left) * i128::from(right))),
            _ => {}
        }
    }
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => return Ok(Val::Float(float_of(left) / float_of(right))),
        Operator::FloorDivide => left.checked_div_euclid(right).and_then(|quotient| {
            // Euclid's quotient rounds down only for positive divisors.
            let rest = left.checked_rem(right)?;
            if rest != 0 && right < 0 {
                quotient.checked_sub(1)
            } else {
                Some(quotient)
            }
        }),
        Operator::Modulo => remainder(left, right).map(|rest| {
            if rest != 0 && (rest < 0) != (right < 0) {
                rest + right
            } else {
                rest
            }
        }),
        Operator::Power if right < 0 => return floats(operator, float_of(left), float_of(right)),
        Operator::Power => match (left, u32::try_from(right)) {
            (0 | 1, _) => Some(if right == 0 { 1 } else { left }),
            (-1, _) => Some(if right % 2 == 0 { 1 } else { -1 }),
            (_, Ok(exponent)) => left.checked_pow(exponent),
            _ => None,
        },
    };
    match result {
        Some(number) => Ok(Val::Int(number)),
        None => fail!("the result is too large: integers have at most 127 bits"),
    }
}

/// The remainder, in half the width where that is enough: it is much faster.
fn remainder(left: i128, right: i128) -> Option<i128> {
    match (i64::try_from(left), i64::try_from(right)) {
        (Ok(left), Ok(right)) => left.checked_rem(right).map(i128::from),
        _ => left.checked_rem(right),
    }
}

fn floats(operator: Operator, left: f64, right: f64) -> Res<Val> {
    if right == 0.0
        && matches!(
            operator,
            Operator::Divide | Operator::FloorDivide | Operator::Modulo
        )
    {
        fail!("division by zero");
    }
    let modulo = || {
        let rest = left % right;
        if rest != 0.0 && (rest < 0.0) != (right < 0.0) {
            rest + right
        } else if rest == 0.0 {
            0.0_f64.copysign(right)
        } else {
            rest
        }
    };
    Ok(Val::Float(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::FloorDivide => {
            let quotient = (left - modulo()) / right;
            let floor = quotient.floor();
            if quotient - floor > 0.5 {
                floor + 1.0
            } else {
                floor
            }
        }
        Operator::Modulo => modulo(),
        Operator::Power if left == 0.0 && right < 0.0 => fail!("0.0 has no negative power"),
        Operator::Power if left < 0.0 && right.fract() != 0.0 => fail!("the result is a complex number"),
        Operator::Power => left.powf(right),
    }))
}

/// A part of a sequence.
pub(super) fn slice(run: &Run<'_>, value: &Val, bounds: &[Option<Val>; 3]) -> Res<Val> {
    let mut numbers = [None; 3];
    for (number, bound) in numbers.iter_mut().zip(bounds) {
        *number = match bound {
            None | Some(Val::None) => None,
            Some(bound) => match bound.as_int() {
                Some(bound) => Some(bound),
                None => fail!("a slice needs integers, not {}", bound.type_name()),
            },
        };
    }
    let [start, end, step] = numbers;
    let step = step.unwrap_or(1);
    if step == 0 {
        fail!("the step of a slice is not 0");
    }
    if let Val::Undefined(name) = value {
        return Err(Run::undefined(name.as_deref()));
    }
    let pick = |length: usize| -> Vec<usize> {
        let length = i128::try_from(length).unwrap_or(i128::MAX);
        let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let place = |bound: Option<i128>, default: i128| match bound {
            None => default,
            Some(bound) if bound < 0 => bound.saturating_add(length).clamp(lowest, highest),
            Some(bound) => bound.clamp(lowest, highest),
        };
        let (start, end) = if step > 0 {
            (place(start, 0), place(end, length))
        } else {
            (place(start, length - 1), place(end, -1))
        };
        let range = Range {
            start,
            stop: end,
            step,
        };
        let indexes = (0..range.len()).filter_map(|index| range.get(index)?.as_int());
        indexes.filter_map(|index| usize::try_from(index).ok()).collect()
    };
    Ok(match value {
        Val::Str(text) => {
            run.allocate(text.len())?;
            if step == 1 && text.is_ascii() {
                let picked = pick(text.len());
                let from = picked.first().copied().unwrap_or(0);
                return Ok(Val::str(&text[from..from + picked.len()]));
            }
            let characters: Vec<char> = text.chars().collect();
            let picked = pick(characters.len()).into_iter().map(|index| characters[index]);
            Val::from(picked.collect::<String>())
        }
        Val::List(list) => {
            let items = list.borrow();
            run.allocate_items(items.len())?;
            Val::list(
                pick(items.len())
                    .into_iter()
                    .map(|index| items[index].clone())
                    .collect(),
            )
        }
        Val::Tuple(tuple) => {
            let items = tuple.items();
            run.allocate_items(items.len())?;
            Val::tuple(
                pick(items.len())
                    .into_iter()
                    .map(|index| items[index].clone())
                    .collect(),
            )
        }
        Val::Range(range) => {
            run.allocate_items(range.len())?;
            let picked = pick(range.len());
            let first = picked.first().and_then(|index| range.get(*index)?.as_int());
            let start = first.unwrap_or(range.start);
            let step = step.saturating_mul(range.step);
            let length = i128::try_from(picked.len()).unwrap_or(0);
            Val::Range(Rc::new(Range {
                start,
                stop: start.saturating_add(step.saturating_mul(length)),
                step,
            }))
        }
        _ => fail!("{} has no parts", value.type_name()),
    })
}

/// The value with the sign changed.
pub(super) fn negative(value: &Val) -> Res<Val> {
    match value {
        Val::Float(number) => Ok(Val::Float(-number)),
        Val::Undefined(name) => Err(Run::undefined(name.as_deref())),
        _ => match value.as_int().and_then(i128::checked_neg) {
            Some(number) => Ok(Val::Int(number)),
            None => fail!("`-` is not possible before {}", value.type_name()),
        },
    }
}

/// The integer that a number is equal to.
fn whole(value: &Val) -> Option<i128> {
    match value {
        Val::Float(number) if number.fract() == 0.0 => int_of(*number),
        _ => value.as_int(),
    }
}
