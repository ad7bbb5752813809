//! The filters of numbers, and those that print values in other ways.

use super::{Filter, integer, json, text, truth};
use crate::jinja::failure::{Res, fail};
use crate::jinja::format;
use crate::jinja::interpreter::{Args, Env, Run};
use crate::jinja::operators::negative;
use crate::jinja::value::{Val, float_of, int_of};

/// A filter of numbers.
pub(super) fn filter(name: &str) -> Option<Filter> {
    Some(match name {
        "abs" => absolute,
        "int" => to_int,
        "float" => to_float,
        "round" => round,
        "filesizeformat" => file_size,
        "tojson" => json::to_json,
        "pprint" => json::pretty,
        _ => return None,
    })
}

fn absolute(_run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("abs", [])?;
    match input.as_number() {
        Some(number) if number < 0.0 => negative(input),
        Some(_) => Ok(input.clone()),
        None => fail!("`abs` takes a number, not {}", input.type_name()),
    }
}

fn to_int(_run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [default, base] = args.bind("int", ["default", "base"])?;
    let base = integer(base.as_ref(), "base", 10)?;
    let default = default.unwrap_or(Val::Int(0));
    match input {
        Val::Undefined(name) => Err(Run::undefined(name.as_deref())),
        Val::Str(text) => {
            let Some(base) = u32::try_from(base)
                .ok()
                .filter(|base| *base == 0 || (2..=36).contains(base))
            else {
                fail!("the base of an integer is 0 or from 2 to 36");
            };
            let number = parse_int(text, base).or_else(|| parse_float(text).and_then(int_of));
            Ok(number.map_or(default, Val::Int))
        }
        Val::Float(number) => Ok(int_of(*number).map_or(default, Val::Int)),
        Val::Foreign(object) => {
            let number = crate::filters::as_number(object).and_then(|number| i128::try_from(number).ok());
            Ok(number.map_or(default, Val::Int))
        }
        _ => Ok(input.as_int().map_or(default, Val::Int)),
    }
}

/// An integer as Python's `int` reads it.
fn parse_int(text: &str, base: u32) -> Option<i128> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_lowercase();
    let (prefix, rest) = lower.split_at_checked(2).unwrap_or(("", &lower));
    let (radix, digits) = match (prefix, base) {
        ("0x", 0 | 16) => (16, rest),
        ("0o", 0 | 8) => (8, rest),
        ("0b", 0 | 2) => (2, rest),
        (_, 0)
            if lower.len() > 1
                && lower.starts_with('0')
                && lower.bytes().any(|digit| digit != b'0' && digit != b'_') =>
        {
            return None;
        }
        (_, 0) => (10, &*lower),
        (_, base) => (base, &*lower),
    };
    let is_prefixed = digits.len() < lower.len();
    let digits = if is_prefixed {
        digits.strip_prefix('_').unwrap_or(digits)
    } else {
        digits
    };
    if digits.is_empty()
        || digits.starts_with(['_', '-', '+'])
        || digits.ends_with('_')
        || digits.contains("__")
    {
        return None;
    }
    i128::from_str_radix(&digits.replace('_', ""), radix)
        .ok()?
        .checked_mul(sign)
}

/// A float as Python's `float` reads it.
fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let underscores = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    if underscores || text.is_empty() {
        return None;
    }
    text.replace('_', "").parse().ok()
}

fn to_float(_run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [default] = args.bind("float", ["default"])?;
    let default = default.unwrap_or(Val::Float(0.0));
    match input {
        Val::Undefined(name) => Err(Run::undefined(name.as_deref())),
        Val::Str(text) => Ok(parse_float(text).map_or(default, Val::Float)),
        _ => Ok(input.as_number().map_or(default, Val::Float)),
    }
}

fn round(_run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [precision, method] = args.bind("round", ["precision", "method"])?;
    let precision = integer(precision.as_ref(), "precision", 0)?;
    let method = text(method.as_ref(), "method", "common")?;
    let Some(number) = input.as_number() else {
        fail!("`round` takes a number, not {}", input.type_name());
    };
    let scale = || {
        let exponent = i32::try_from(precision.clamp(-400, 400)).unwrap_or(0);
        float_of(10).powi(exponent)
    };
    match &*method {
        "common" => match input.as_int() {
            Some(whole) if precision >= 0 => Ok(Val::Int(whole)),
            Some(_) => Ok(int_of(format::round(number, precision)).map_or(Val::Int(0), Val::Int)),
            None => Ok(Val::Float(format::round(number, precision))),
        },
        "ceil" => Ok(Val::Float((number * scale()).ceil() / scale())),
        "floor" => Ok(Val::Float((number * scale()).floor() / scale())),
        _ => fail!("the method of `round` is `common`, `ceil` or `floor`"),
    }
}

fn file_size(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [binary] = args.bind("filesizeformat", ["binary"])?;
    let binary = truth(run, binary.as_ref(), false)?;
    let bytes = match input {
        Val::Str(text) => parse_float(text),
        _ => input.as_number(),
    };
    let Some(bytes) = bytes else {
        fail!("`filesizeformat` takes a number, not {}", input.type_name());
    };
    let base = if binary { 1024.0 } else { 1000.0 };
    if matches!(int_of(bytes), Some(1)) && bytes.fract().abs() < f64::EPSILON {
        return Ok(Val::from("1 Byte"));
    }
    if bytes < base {
        return Ok(Val::from(format!("{} Bytes", int_of(bytes).unwrap_or(0))));
    }
    let mut unit = base;
    for (index, prefix) in ["k", "M", "G", "T", "P", "E", "Z", "Y"].iter().enumerate() {
        unit *= base;
        if bytes < unit || index == 7 {
            let name = if binary {
                format!("{}iB", prefix.to_uppercase())
            } else {
                format!("{prefix}B")
            };
            return Ok(Val::from(format!("{:.1} {name}", base * bytes / unit)));
        }
    }
    Ok(Val::from(""))
}
