//! JSON as Python writes it.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::collections::pairs;
use crate::filters::arguments::{Arguments, Filter, integer, invalid, list, text};
use crate::jinja::float_repr;

const MOST_DEPTH: usize = 64;

pub(super) const FILTERS: &[Filter] = &[
    (
        "to_json",
        "a indent? sort_keys? ensure_ascii? separators? **options",
        |arguments| dump(arguments, None, false).map(Value::from),
    ),
    (
        "to_nice_json",
        "a indent? sort_keys? ensure_ascii? separators? **options",
        |arguments| dump(arguments, Some(4), true).map(Value::from),
    ),
    ("from_json", "a **options", |arguments| {
        let text = arguments.text(0)?;
        serde_json::from_str(&text).map_err(|error| invalid(format!("no JSON: {error}")))
    }),
];

struct Writer {
    out: String,
    indent: Option<usize>,
    sort_keys: bool,
    ensure_ascii: bool,
    separators: (String, String),
}

fn dump(arguments: &Arguments, indent: Option<i128>, nice: bool) -> Result<String, Error> {
    let indent = match arguments.some(1) {
        Some(indent) => Some(integer(indent)?),
        None if arguments.has(1) => None,
        None => indent,
    };
    let separators = match arguments.some(4).filter(|_| !nice) {
        Some(separators) => match list(separators)?.as_slice() {
            [item, key] => (text(item)?, text(key)?),
            _ => return Err(invalid("separators must be two texts")),
        },
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    let mut writer = Writer {
        out: String::new(),
        indent: indent.map(|indent| usize::try_from(indent).unwrap_or(0).min(64)),
        sort_keys: arguments.some(2).map_or(nice, Value::is_true),
        ensure_ascii: arguments.some(3).is_none_or(Value::is_true),
        separators,
    };
    writer.write(&arguments.value(0), 0)?;
    Ok(writer.out)
}

impl Writer {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MOST_DEPTH {
            return Err(invalid(format!("the value is nested deeper than {MOST_DEPTH}")));
        }
        match value.kind() {
            ValueKind::Map if !crate::filters::address::is_address(value) => {
                let mut pairs = pairs(value)?
                    .into_iter()
                    .map(|(key, value)| Ok((scalar(&key)?, value)))
                    .collect::<Result<Vec<_>, Error>>()?;
                if self.sort_keys {
                    pairs.sort_by(|left, right| left.0.cmp(&right.0));
                }
                self.container(['{', '}'], pairs.len(), depth, |writer, index| {
                    let (key, value) = &pairs[index];
                    writer.quoted(key);
                    let separator = writer.separators.1.clone();
                    writer.out.push_str(&separator);
                    writer.write(value, depth + 1)
                })
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items = list(value)?;
                self.container(['[', ']'], items.len(), depth, |writer, index| {
                    writer.write(&items[index], depth + 1)
                })
            }
            ValueKind::String => {
                self.quoted(value.as_str().unwrap_or_default());
                Ok(())
            }
            _ => {
                self.out.push_str(&scalar(value)?);
                Ok(())
            }
        }
    }

    fn container(
        &mut self,
        [open, close]: [char; 2],
        count: usize,
        depth: usize,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        for index in 0..count {
            if index > 0 {
                let separator = self.separators.0.clone();
                self.out.push_str(&separator);
            }
            self.line(depth + 1);
            item(self, index)?;
        }
        if count > 0 {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.push_str(&" ".repeat(indent * depth));
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                ' '..='~' => self.out.push(character),
                _ if self.ensure_ascii || character < ' ' => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.out.extend(["\\u", &format!("{unit:04x}")]);
                    }
                }
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }
}

/// A number, a boolean, null, or the text of a key.
fn scalar(value: &Value) -> Result<String, Error> {
    Ok(match value.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => value.is_true().to_string(),
        ValueKind::Number if value.is_integer() => value.to_string(),
        ValueKind::Number => match f64::try_from(value.clone())? {
            number if number.is_nan() => "NaN".to_owned(),
            number if number.is_infinite() => format!("{}Infinity", if number < 0.0 { "-" } else { "" }),
            number => float_repr(number),
        },
        ValueKind::String => value.to_string(),
        _ => return Err(invalid(format!("{value:?} is not JSON serializable"))),
    })
}
