//! Filters of texts: paths, quoting, sizes, comments.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value};

use crate::filters::arguments::{Arguments, Filter, MOST_ITEMS, Outcome, invalid, texts};

/// The suffixes of sizes, with the factor between them.
const SIZES: [&str; 9] = ["", "K", "M", "G", "T", "P", "E", "Z", "Y"];

pub(super) const FILTERS: &[Filter] = &[
    ("quote", "a", |arguments| {
        let value = arguments.value(0);
        let text = if value.is_none() {
            String::new()
        } else {
            value.to_string()
        };
        let is_safe = |character: char| character.is_ascii_alphanumeric() || "@%+=:,./-_".contains(character);
        Ok(Value::from(if text.is_empty() {
            "''".to_owned()
        } else if text.chars().all(is_safe) {
            text
        } else {
            format!("'{}'", text.replace('\'', "'\"'\"'"))
        }))
    }),
    ("basename", "path", |arguments| {
        let path = arguments.text(0)?;
        Ok(Value::from(path.rsplit('/').next().unwrap_or_default()))
    }),
    ("dirname", "path", |arguments| {
        let path = arguments.text(0)?;
        let head = path.rfind('/').map_or("", |index| &path[..=index]);
        let trimmed = head.trim_end_matches('/');
        Ok(Value::from(if trimmed.is_empty() { head } else { trimmed }))
    }),
    ("splitext", "path", |arguments| {
        let path = arguments.text(0)?;
        let name = path.rfind('/').map_or(0, |index| index + 1);
        // Dots at the start of a name begin no extension.
        let begin = path.len() - path[name..].trim_start_matches('.').len();
        let dot = path[begin..].rfind('.').map_or(path.len(), |index| begin + index);
        Ok(Value::from(Tuple::from([
            Value::from(&path[..dot]),
            Value::from(&path[dot..]),
        ])))
    }),
    ("path_join", "paths", |arguments| {
        let value = arguments.value(0);
        let parts = if value.kind() == ValueKind::String {
            vec![arguments.text(0)?]
        } else {
            arguments.texts(0)?
        };
        let mut path = String::new();
        for part in parts {
            if part.starts_with('/') {
                path.clear();
            } else if !path.is_empty() && !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(&part);
        }
        Ok(Value::from(path))
    }),
    ("human_readable", "size isbits? unit?", human_readable),
    ("human_to_bytes", "size default_unit? isbits?", human_to_bytes),
    ("comment", "text style? **kw", comment),
    ("split", "string sep? maxsplit?", split),
    ("to_uuid", "string namespace?", |arguments| {
        let given = arguments.text_or(1, "361E6D51-FAEC-444A-9079-341386DA8E2E")?;
        let namespace = uuid::Uuid::parse_str(&given)
            .map_err(|error| invalid(format!("Invalid value '{given}' for 'namespace': {error}")))?;
        let name = arguments.value(0).to_string();
        Ok(Value::from(
            uuid::Uuid::new_v5(&namespace, name.as_bytes()).to_string(),
        ))
    }),
    ("log", "x base?", |arguments| {
        let number = number(&arguments.value(0))?;
        let result = match arguments.some(1) {
            Some(base) => match self::number(base)? {
                10.0 => number.log10(),
                base => number.ln() / base.ln(),
            },
            None => number.ln(),
        };
        Ok(Value::from(result))
    }),
    ("pow", "x y", |arguments| {
        Ok(Value::from(
            number(&arguments.value(0))?.powf(number(&arguments.value(1))?),
        ))
    }),
    ("root", "x base?", |arguments| {
        let root = number(&arguments.value(0))?;
        Ok(Value::from(match arguments.some(1) {
            Some(base) => root.powf(1.0 / number(base)?),
            None => root.sqrt(),
        }))
    }),
];

fn number(value: &Value) -> Result<f64, Error> {
    f64::try_from(value.clone()).map_err(|_| invalid(format!("expected a number, got {value:?}")))
}

fn factor(power: usize) -> f64 {
    1024_f64.powi(i32::try_from(power).unwrap_or(0))
}

fn human_readable(arguments: &Arguments) -> Outcome {
    let size = number(&arguments.value(0))?;
    let unit = arguments.text_or(2, "")?.to_uppercase();
    let base = if arguments.is_true(1) { "bits" } else { "Bytes" };
    let power = if unit.is_empty() {
        (0..SIZES.len()).rev().find(|power| size >= factor(*power))
    } else {
        SIZES.iter().position(|suffix| *suffix == unit)
    };
    let power = power.unwrap_or(0);
    let suffix = match SIZES[power] {
        "" => base.to_owned(),
        suffix => format!("{suffix}{}", &base[..1]),
    };
    Ok(Value::from(format!("{:.2} {suffix}", size / factor(power))))
}

fn human_to_bytes(arguments: &Arguments) -> Outcome {
    let given = arguments.value(0).to_string();
    let text = given.trim();
    let digits = text.len()
        - text
            .trim_start_matches(|character: char| character.is_ascii_digit() || character == '.')
            .len();
    let damaged = || invalid(format!("can't interpret '{given}' as a size"));
    let count: f64 = text[..digits].parse().map_err(|_| damaged())?;
    let suffix = text[digits..].trim().to_uppercase();
    let suffix = if suffix.is_empty() {
        arguments.text_or(1, "")?.to_uppercase()
    } else {
        suffix
    };
    let unit = match suffix.as_str() {
        "B" | "BYTE" | "BYTES" | "BIT" | "BITS" | "" => "",
        other => &other[..other.chars().next().map_or(0, char::len_utf8)],
    };
    let power = SIZES
        .iter()
        .position(|known| *known == unit)
        .ok_or_else(damaged)?;
    #[expect(clippy::cast_possible_truncation, reason = "int() of Python rounds first")]
    let bytes = (count * factor(power)).round_ties_even() as i64;
    Ok(Value::from(bytes))
}

/// Lines as a comment of a style.
fn comment(arguments: &Arguments) -> Outcome {
    let (decoration, beginning, end) = match arguments.text_or(1, "plain")?.as_str() {
        "plain" => ("# ", "", ""),
        "erlang" => ("% ", "", ""),
        "c" => ("// ", "", ""),
        "cblock" => (" * ", "/*", " */"),
        "xml" => (" - ", "<!--", "-->"),
        other => return Err(invalid(format!("Invalid style '{other}'."))),
    };
    let keyword = |name: &str| {
        arguments
            .keywords()
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    };
    let text = |name: &str, default: &str| keyword(name).map_or_else(|| default.to_owned(), Value::to_string);
    let count = |name: &str| -> Result<usize, Error> {
        let count = keyword(name).map_or(Ok(1), crate::filters::arguments::to_integer)?;
        Ok(usize::try_from(count).unwrap_or(0).min(MOST_ITEMS))
    };
    let decoration = text("decoration", decoration);
    let newline = text("newline", "\n");
    let (prefix, postfix) = (
        text("prefix", decoration.trim_end()),
        text("postfix", decoration.trim_end()),
    );
    let (beginning, end) = (text("beginning", beginning), text("end", end));
    let mut lines = String::new();
    if !beginning.is_empty() {
        lines.extend([&*beginning, &*newline]);
    }
    if prefix == newline {
        lines.push_str(&newline.repeat(count("prefix_count")?));
    } else if !prefix.is_empty() {
        lines.push_str(&format!("{prefix}{newline}").repeat(count("prefix_count")?));
    }
    let body = arguments
        .text(0)?
        .replace(&newline, &format!("{newline}{decoration}"));
    let body = format!("{decoration}{body}").replace(
        &format!("{decoration}{newline}"),
        &format!("{}{newline}", decoration.trim_end()),
    );
    lines.push_str(&body);
    lines.push_str(&format!("{newline}{postfix}").repeat(count("postfix_count")?));
    if !end.is_empty() {
        lines.extend([&*newline, &*end]);
    }
    Ok(Value::from(lines))
}

fn split(arguments: &Arguments) -> Outcome {
    let text = arguments.text(0)?;
    let most = arguments.integer_or(2, -1)?;
    let parts = usize::try_from(most).map_or(usize::MAX, |most| most.saturating_add(1));
    let Some(separator) = arguments.some(1) else {
        let mut rest = text.trim();
        let mut words = Vec::new();
        while !rest.is_empty() {
            match rest.split_once(char::is_whitespace) {
                Some((word, after)) if words.len() + 1 < parts => {
                    words.push(word);
                    rest = after.trim_start();
                }
                _ => {
                    words.push(rest);
                    break;
                }
            }
        }
        return Ok(texts(words));
    };
    let separator = separator.to_string();
    if separator.is_empty() {
        return Err(invalid("empty separator"));
    }
    Ok(texts(text.splitn(parts, &separator)))
}
