//! Values as Python prints them.

use std::fmt::Write as _;

use super::failure::{Res, fail};
use super::interpreter::Run;
use super::value::{MAX_NESTING, Val, View};
use crate::filters;

/// Appends a value as Python's `str` has it.
pub(super) fn write_str(run: &Run<'_>, out: &mut String, value: &Val) -> Res<()> {
    match value {
        Val::Str(text) => run.append(out, text),
        Val::Int(number) => {
            // The narrower type is printed much faster.
            let _ = match i64::try_from(*number) {
                Ok(number) => write!(out, "{number}"),
                Err(_) => write!(out, "{number}"),
            };
            run.append(out, "")
        }
        Val::Undefined(name) => run.use_undefined(name.as_deref()),
        Val::Module(module) => run.append(out, &module.text),
        Val::Foreign(object) => run.append(out, &object.to_string()),
        _ => write_repr(run, out, value, 0),
    }
}

/// Appends a value as Python's `repr` has it.
pub(super) fn write_repr(run: &Run<'_>, out: &mut String, value: &Val, depth: usize) -> Res<()> {
    if depth > MAX_NESTING {
        fail!("a value is nested more than {MAX_NESTING} deep");
    }
    run.charge(1)?;
    match value {
        Val::Undefined(_) => run.append(out, "Undefined"),
        Val::None => run.append(out, "None"),
        Val::Bool(true) => run.append(out, "True"),
        Val::Bool(false) => run.append(out, "False"),
        Val::Float(number) => run.append(out, &float(*number)),
        Val::Str(text) => run.append(out, &quoted(text)),
        Val::List(list) => {
            run.append(out, "[")?;
            write_items(run, out, &list.borrow(), depth)?;
            run.append(out, "]")
        }
        Val::Tuple(tuple) => {
            run.append(out, "(")?;
            write_items(run, out, tuple.items(), depth)?;
            run.append(out, if tuple.items().len() == 1 { ",)" } else { ")" })
        }
        Val::Dict(dict) => {
            run.append(out, "{")?;
            for (index, (key, value)) in dict.borrow().iter().enumerate() {
                if index > 0 {
                    run.append(out, ", ")?;
                }
                write_repr(run, out, key.value(), depth + 1)?;
                run.append(out, ": ")?;
                write_repr(run, out, value, depth + 1)?;
            }
            run.append(out, "}")
        }
        Val::View(view, dict) => {
            run.append(out, value.type_name())?;
            run.append(out, "([")?;
            for (index, (key, value)) in dict.borrow().iter().enumerate() {
                if index > 0 {
                    run.append(out, ", ")?;
                }
                if *view == View::Items {
                    run.append(out, "(")?;
                }
                if *view != View::Values {
                    write_repr(run, out, key.value(), depth + 1)?;
                }
                if *view == View::Items {
                    run.append(out, ", ")?;
                }
                if *view != View::Keys {
                    write_repr(run, out, value, depth + 1)?;
                }
                if *view == View::Items {
                    run.append(out, ")")?;
                }
            }
            run.append(out, "])")
        }
        Val::Range(range) if range.step == 1 => {
            run.append(out, &format!("range({}, {})", range.start, range.stop))
        }
        Val::Range(range) => run.append(
            out,
            &format!("range({}, {}, {})", range.start, range.stop, range.step),
        ),
        Val::Namespace(dict) => {
            run.append(out, "<Namespace ")?;
            write_repr(run, out, &Val::Dict(std::rc::Rc::clone(dict)), depth + 1)?;
            run.append(out, ">")
        }
        Val::Foreign(object) => {
            let text = filters::repr(object).unwrap_or_else(|| format!("{object:?}"));
            run.append(out, &text)
        }
        Val::Loop(state) => run.append(
            out,
            &format!("<LoopContext {}/{}>", state.index(), state.length(run)?),
        ),
        Val::Callable(callable) => run.append(out, &callable.describe()),
        Val::Int(_) => write_str(run, out, value),
        // Python prints the addresses of these: a text that no configuration can want.
        Val::Iterator(_) | Val::Module(_) | Val::Cycler(_) | Val::Joiner(_) => {
            run.append(out, &format!("<{} object>", value.type_name()))
        }
    }
}

fn write_items(run: &Run<'_>, out: &mut String, items: &[Val], depth: usize) -> Res<()> {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            run.append(out, ", ")?;
        }
        write_repr(run, out, item, depth + 1)?;
    }
    Ok(())
}

/// A float as Python prints it: as short as possible, with an exponent if it is very large or small.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let mut plain = format!("{number}");
        if !plain.contains('.') {
            plain.push_str(".0");
        }
        return plain;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A text as Python's `repr` quotes it.
pub(super) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if character == quote => quoted.extend(['\\', quote]),
            _ if is_printable(character) => quoted.push(character),
            _ => {
                let code = u32::from(character);
                let _ = match code {
                    ..=0xff => write!(quoted, "\\x{code:02x}"),
                    0x100..=0xffff => write!(quoted, "\\u{code:04x}"),
                    _ => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted.push(quote);
    quoted
}

fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    !character.is_whitespace()
        && !character.is_control()
        && !character.escape_debug().to_string().starts_with("\\u{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_and_texts_are_printed_as_python_prints_them() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (123_456_789_012_345.0, "123456789012345.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
            (1.5e300, "1.5e+300"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(float(number), expected);
        }
        for (text, expected) in [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("'\"", "'\\'\"'"),
            ("a\n\\\u{7}é\u{a0}", "'a\\n\\\\\\x07é\\xa0'"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
