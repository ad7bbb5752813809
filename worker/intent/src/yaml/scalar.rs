use super::Value;

/// The value of a plain word in YAML 1.1, which Python's loaders implement.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Boolean(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Boolean(false);
        }
        _ => {}
    }
    integer(text)
        .map(Value::Integer)
        .or_else(|| is_number(text).then_some(Value::Number))
        .unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// Decimal, octal (`0o17`, and `017` as in 1.1), hexadecimal or binary, with a sign and `_` between digits.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    // Parsed with the sign, because the smallest number has no positive counterpart.
    i64::from_str_radix(&format!("{}{digits}", if negative { "-" } else { "" }), radix).ok()
}

/// A fraction, a power of ten, infinity, or an integer that is too large.
fn is_number(text: &str) -> bool {
    let unsigned = text.trim_start_matches(['-', '+']);
    if matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return true;
    }
    // Rust also parses words such as `inf`, which are text in YAML.
    let has_digit = unsigned
        .trim_start_matches('.')
        .starts_with(|c: char| c.is_ascii_digit());
    has_digit && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_have_their_yaml_1_1_values() {
        let text = |text: &str| Value::Text(text.to_owned());
        let table = [
            ("", Value::Null),
            ("~", Value::Null),
            ("yes", Value::Boolean(true)),
            ("Off", Value::Boolean(false)),
            ("yEs", text("yEs")),
            ("0", Value::Integer(0)),
            ("-12", Value::Integer(-12)),
            ("+1_000", Value::Integer(1000)),
            ("0x1F", Value::Integer(31)),
            ("017", Value::Integer(15)),
            ("0o17", Value::Integer(15)),
            ("-9223372036854775808", Value::Integer(i64::MIN)),
            ("9223372036854775808", Value::Number),
            ("1.5", Value::Number),
            (".5", Value::Number),
            ("1e3", Value::Number),
            ("-.inf", Value::Number),
            ("inf", text("inf")),
            ("089x", text("089x")),
            ("-", text("-")),
            ("0x", text("0x")),
            ("10.0.0.1", text("10.0.0.1")),
            ("10.0.0.0/8", text("10.0.0.0/8")),
            ("::1", text("::1")),
            ("1:30", text("1:30")),
        ];
        for (word, expected) in table {
            assert_eq!(plain(word), expected, "{word}");
        }
    }
}
