//! What plain words mean in YAML 1.1, as the `SafeLoader` of `PyYAML` reads it, with which CNaaS NMS loads settings: `010` is 8, `1:30` is 90 and
//! `yes` is true, while `0o10` and `1e3` are text. What that loader cannot load is refused.

use std::sync::LazyLock;

use fancy_regex::Regex;

use super::{Number, Value};

/// An integer: binary, octal, decimal, hexadecimal, or of base 60.
static INTEGER: LazyLock<Regex> = LazyLock::new(|| {
    regex("[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)")
});

/// A fraction: with a point, of base 60 and with a point, infinite, or not a number. An exponent has a sign.
static FRACTION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    )
});

/// A date, or a date and a time.
static DATE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?",
    )
});

fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("^({pattern})$")).expect("the pattern is fixed")
}

/// Why a plain word cannot be loaded.
const UNLOADABLE: &str = "CNaaS NMS cannot load this word where it is no key; put it in quotes";

/// The value of a plain word, or why it has none.
pub(super) fn plain(text: &str, is_key: bool) -> Result<Value, &'static str> {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Boolean(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Boolean(false),
        "=" | "<<" if !is_key => return Err(UNLOADABLE),
        _ if !text.starts_with(|c: char| matches!(c, '0'..='9' | '-' | '+' | '.')) => {
            Value::Text(text.to_owned())
        }
        _ => match numeral(text) {
            Some(Numeral::Integer) => integer(text),
            Some(Numeral::Fraction) => Value::Number(Number::Fraction(fraction(text))),
            Some(Numeral::Date) => Value::Date(date(text)),
            None => Value::Text(text.to_owned()),
        },
    };
    Ok(value)
}

enum Numeral {
    Integer,
    Fraction,
    Date,
}

/// What a word is that begins like a number. The patterns are costly, and words such as IP addresses are frequent, so a pattern is tried only if
/// the word has what all words of the pattern have: no point, a point, four digits and a hyphen.
fn numeral(text: &str) -> Option<Numeral> {
    let mut points = text.bytes().filter(|byte| *byte == b'.');
    match (points.next(), points.next()) {
        (None, _) if is(&INTEGER, text) => Some(Numeral::Integer),
        (Some(_), None) if is(&FRACTION, text) => Some(Numeral::Fraction),
        _ if text.as_bytes().get(4) == Some(&b'-') && is(&DATE, text) => Some(Numeral::Date),
        _ => None,
    }
}

fn is(pattern: &Regex, text: &str) -> bool {
    matches!(pattern.is_match(text), Ok(true))
}

/// The value of an integer; a fraction if it is too large for `i128`.
fn integer(text: &str) -> Value {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, &digits[..]),
    };
    let place = |value: i128, part: &str| {
        let part = i128::from_str_radix(part, radix).ok()?;
        value.checked_mul(60)?.checked_add(part)
    };
    let Some(value) = digits.split(':').try_fold(0_i128, place) else {
        return Value::Number(Number::Fraction(fraction(text)));
    };
    match i64::try_from(sign * value) {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::Number(Number::Large(sign * value)),
    }
}

/// The value of a fraction.
fn fraction(text: &str) -> f64 {
    let text = text.replace('_', "").to_lowercase();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(&text)),
    };
    let number = match digits {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        _ => digits.split(':').fold(0.0, |value, part| {
            value * 60.0 + part.parse::<f64>().unwrap_or(f64::NAN)
        }),
    };
    sign * number
}

/// A date, or a date and a time, as Python prints it: `2024-01-02`, `2024-01-02 03:04:05.600000+01:00`.
fn date(text: &str) -> String {
    let Some((day, time)) = text.split_once([' ', '\t', 'T', 't']) else {
        return text.to_owned();
    };
    let padded = |part: &str| format!("{part:0>2}");
    let day = day.split('-').map(padded).collect::<Vec<_>>().join("-");
    let time = time.trim_start_matches([' ', '\t']);
    let end = time.find([' ', '\t', 'Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = (&time[..end], time[end..].trim_start_matches([' ', '\t']));
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let time = time.split(':').map(padded).collect::<Vec<_>>().join(":");
    let fraction: String = format!("{fraction:0<6}").chars().take(6).collect();
    let fraction = if fraction == "000000" {
        String::new()
    } else {
        format!(".{fraction}")
    };
    let zone = match zone.split_at_checked(1) {
        Some(("Z", _)) => "+00:00".to_owned(),
        Some((sign, offset)) => {
            let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "00"));
            format!("{sign}{hours:0>2}:{minutes}")
        }
        None => String::new(),
    };
    format!("{day} {time}{fraction}{zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right side is what `PyYAML` 6.0.3 says.
    #[test]
    fn plain_words_have_the_values_of_pyyaml() {
        let integers = [
            ("0", 0),
            ("-0", 0),
            ("00", 0),
            ("0_", 0),
            ("-12", -12),
            ("010", 8),
            ("-010", -8),
            ("+010", 8),
            ("017", 15),
            ("01_0", 8),
            ("+1_000", 1000),
            ("1__0", 10),
            ("1_", 1),
            ("0x1F", 31),
            ("-0x1F", -31),
            ("0x_1", 1),
            ("0b11", 3),
            ("0b1_1", 3),
            ("1:30", 90),
            ("-1:30", -90),
            ("1_0:30", 630),
            ("190:20:30", 685_230),
            ("11:22:33", 40_953),
            ("44:10:20:30:40:50", 34_348_430_450),
            ("-9223372036854775808", i64::MIN),
        ];
        for (word, expected) in integers {
            assert_eq!(plain(word, false), Ok(Value::Integer(expected)), "{word}");
        }
        let numbers = "9223372036854775808 1. 1.5 .5 1_0.5 1._5 1.5e+3 1.5E-3 12.e+3 1:30.5 1:2:3.4 685_230.15 .inf -.inf +.INF .nan .NAN";
        let texts = "yEs tRUE nUll y n Y N 08 09 089 089x 0o10 0o17 0X1F 0x 0b2 _1 +_1 0:30 01:30 1:60 1e3 1.5e3 1e+3 12e03 +.5 -.5 . .Nan .iNf \
                     inf nan 1,000 1.2.3 10.0.0.1 10.0.0.0/8 ::1 - 2024-1-1 é";
        let booleans = [
            ("yes", true),
            ("On", true),
            ("TRUE", true),
            ("no", false),
            ("Off", false),
            ("FALSE", false),
        ];
        for word in numbers.split_whitespace() {
            assert!(matches!(plain(word, false), Ok(Value::Number(_))), "{word}");
        }
        for word in texts.split_whitespace() {
            assert_eq!(plain(word, false), Ok(Value::Text(word.to_owned())), "{word}");
        }
        for (word, expected) in booleans {
            assert_eq!(plain(word, false), Ok(Value::Boolean(expected)), "{word}");
        }
        for word in ["", "~", "null", "NULL"] {
            assert_eq!(plain(word, false), Ok(Value::Null), "{word}");
        }
        let dates = [
            ("2024-01-01", "2024-01-01"),
            ("2024-01-01T00:00:00Z", "2024-01-01 00:00:00+00:00"),
            ("2024-1-1 1:02:03.4 +01:00", "2024-01-01 01:02:03.400000+01:00"),
            ("2024-1-1\t1:02:03 -5", "2024-01-01 01:02:03-05:00"),
            ("2024-1-1 10:02:03.", "2024-01-01 10:02:03"),
        ];
        for (word, printed) in dates {
            assert_eq!(plain(word, false), Ok(Value::Date(printed.to_owned())), "{word}");
        }
        let fractions = [
            ("1.5", 1.5),
            ("1_0.5", 10.5),
            ("-1:30.5", -90.5),
            ("-.inf", f64::NEG_INFINITY),
        ];
        for (word, value) in fractions {
            assert_eq!(
                plain(word, false),
                Ok(Value::Number(Number::Fraction(value))),
                "{word}"
            );
        }
        assert_eq!(
            plain("9223372036854775808", false),
            Ok(Value::Number(Number::Large(9_223_372_036_854_775_808)))
        );
        for word in ["=", "<<"] {
            assert!(plain(word, false).is_err(), "{word}");
        }
        assert_eq!(plain("=", true), Ok(Value::Text("=".to_owned())));
    }
}
