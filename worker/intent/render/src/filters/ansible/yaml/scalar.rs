//! How a text is written in YAML: as it is, or in quotes.

use crate::jinja::float_repr;

/// What may be done with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub(super) struct Analysis {
    pub(super) multi_line: bool,
    pub(super) plain_in_flow: bool,
    pub(super) plain_in_block: bool,
    pub(super) single_quoted: bool,
}

fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Analyses a text as `PyYAML` does.
pub(super) fn analyse(text: &str) -> Analysis {
    let characters: Vec<char> = text.chars().collect();
    let Some(first) = characters.first() else {
        return Analysis {
            multi_line: false,
            plain_in_flow: false,
            plain_in_block: true,
            single_quoted: true,
        };
    };
    let is_space = |character: Option<&char>| {
        character
            .is_none_or(|character| matches!(character, '\0' | ' ' | '\t' | '\r') || is_break(*character))
    };
    let document = text.starts_with("---") || text.starts_with("...");
    let (mut block_indicator, mut flow_indicator) = (document, document);
    let (mut line_break, mut special, mut break_space, mut space_break) = (false, false, false, false);
    let (mut after_space, mut after_break, mut preceded) = (false, false, true);
    for (index, character) in characters.iter().enumerate() {
        let followed = is_space(characters.get(index + 1));
        match character {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`'
                if index == 0 =>
            {
                (flow_indicator, block_indicator) = (true, true);
            }
            '-' if index == 0 && followed => (flow_indicator, block_indicator) = (true, true),
            '?' if index == 0 => {
                flow_indicator = true;
                block_indicator |= followed;
            }
            ',' | '?' | '[' | ']' | '{' | '}' => flow_indicator = true,
            ':' => {
                flow_indicator = true;
                block_indicator |= followed;
            }
            '#' if preceded => (flow_indicator, block_indicator) = (true, true),
            _ => {}
        }
        line_break |= is_break(*character);
        let printable = matches!(character, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10fffe}');
        special |= !printable || *character == '\u{feff}';
        if *character == ' ' {
            break_space |= after_break;
            (after_space, after_break) = (true, false);
        } else if is_break(*character) {
            space_break |= after_space;
            (after_space, after_break) = (false, true);
        } else {
            (after_space, after_break) = (false, false);
        }
        preceded = is_space(Some(character));
    }
    let blank = |character: &char| *character == ' ' || is_break(*character);
    let surrounded = blank(first) || characters.last().is_some_and(blank);
    let spoiled = break_space || space_break || special;
    let plain = !surrounded && !spoiled && !line_break;
    Analysis {
        multi_line: line_break,
        plain_in_flow: plain && !flow_indicator,
        plain_in_block: plain && !block_indicator,
        single_quoted: !spoiled,
    }
}

/// Whether a plain text would be read as something else than a text.
pub(super) fn is_other_type(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "yes", "no", "true", "false", "on", "off", "null", "~", "", "<<", "=",
    ];
    let lower = text.to_lowercase();
    let cased = text == lower || text == text.to_uppercase() || text.get(1..) == lower.get(1..);
    if WORDS.contains(&lower.as_str()) && cased {
        return true;
    }
    is_integer(text) || is_float(text) || is_timestamp(text)
}

fn all(text: &str, matches: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(matches)
}

fn is_integer(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let mut sexagesimal = unsigned.split(':');
    let head = sexagesimal.next().unwrap_or_default();
    let tails: Vec<&str> = sexagesimal.collect();
    match unsigned.as_bytes() {
        b"0" => true,
        [b'0', b'b', ..] => all(&unsigned[2..], |byte| matches!(byte, b'0' | b'1' | b'_')),
        [b'0', b'x', ..] => all(&unsigned[2..], |byte| byte.is_ascii_hexdigit() || byte == b'_'),
        [b'0', ..] => all(&unsigned[1..], |byte| matches!(byte, b'0'..=b'7' | b'_')),
        [b'1'..=b'9', ..] => all(head, digits) && tails.iter().all(|tail| is_sixtieth(tail)),
        _ => false,
    }
}

/// `[0-5]?[0-9]`
fn is_sixtieth(text: &str) -> bool {
    match text.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, ones] => (b'0'..=b'5').contains(tens) && ones.is_ascii_digit(),
        _ => false,
    }
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let digits = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let Some((whole, fraction)) = unsigned.split_once('.') else {
        return false;
    };
    let mut parts = whole.split(':');
    let head = parts.next().unwrap_or_default();
    let tails: Vec<&str> = parts.collect();
    if !tails.is_empty() {
        return head.starts_with(|first: char| first.is_ascii_digit())
            && all(head, digits)
            && tails.iter().all(|tail| is_sixtieth(tail))
            && fraction.bytes().all(digits);
    }
    let (fraction, exponent) = match fraction.find(['e', 'E']) {
        Some(index) => (&fraction[..index], Some(&fraction[index + 1..])),
        None => (fraction, None),
    };
    let exponent_is_valid = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or_default();
        all(digits, |byte| byte.is_ascii_digit())
    });
    let whole_is_valid = if head.is_empty() {
        text == unsigned && all(fraction, digits)
    } else {
        head.starts_with(|first: char| first.is_ascii_digit()) && all(head, digits)
    };
    whole_is_valid && fraction.bytes().all(digits) && exponent_is_valid
}

/// A date, or a date with a time.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let date = bytes.len() >= 8 && (0..4).all(digit) && bytes[4] == b'-' && digit(5);
    if !date {
        return false;
    }
    let mut parts = text.splitn(3, '-');
    let (_, month, rest) = (
        parts.next(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let number = |text: &str| matches!(text.len(), 1 | 2) && all(text, |byte| byte.is_ascii_digit());
    let day = rest.split(['T', 't', ' ', '\t']).next().unwrap_or_default();
    if day.len() == rest.len() {
        return month.len() == 2 && day.len() == 2 && number(month) && number(day);
    }
    let time = rest[day.len() + 1..].trim_start();
    let clock: Vec<&str> = time.splitn(3, ':').collect();
    match clock[..] {
        [hour, minute, second] => {
            let rest = second.get(2..).unwrap_or("?");
            let zone = rest
                .trim_start_matches(|character: char| character.is_ascii_digit() || character == '.')
                .trim_start();
            let is_zone = zone.is_empty()
                || zone == "Z"
                || zone.starts_with(['+', '-'])
                    && all(&zone[1..], |byte| byte.is_ascii_digit() || byte == b':');
            number(month)
                && number(day)
                && number(hour)
                && minute.len() == 2
                && number(minute)
                && second.get(..2).is_some_and(number)
                && is_zone
        }
        _ => false,
    }
}

/// A float as `PyYAML` writes it.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = float_repr(number);
    // Without a dot it would be read as a text.
    match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_would_be_read_as_another_type_is_known() {
        for text in [
            "yes",
            "No",
            "TRUE",
            "null",
            "~",
            "",
            "1",
            "-12",
            "0x1f",
            "017",
            "1:30",
            "1.5",
            "1e3.0",
            ".5",
            "1.0e+3",
            "2001-01-01",
            "2001-12-14t21:59:43.10-05:00",
            ".inf",
            "1_000",
            "<<",
            "=",
            "1.",
        ] {
            let expected = text != "1e3.0";
            assert_eq!(is_other_type(text), expected, "{text}");
        }
        for text in [
            "y", "yEs", "a", "1a", "10.0.0.1", "0x", "1e3", "08:00:aa", "2001-1", "1:99", "-", ".",
        ] {
            assert!(!is_other_type(text), "{text}");
        }
    }
}
