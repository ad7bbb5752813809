//! Text as a terminal may show it. Pure.

use std::borrow::Cow;
use std::fmt::Write;

use lockstep_protocol::counted;

/// The longest line that is printed, in characters. What one prints is mostly made by peers: an error code may have 100 kB.
pub(super) const LINE: usize = 4000;

/// The longest cell of a table, in characters.
pub(super) const CELL: usize = 300;

/// Whether a terminal may obey a character instead of showing it: control characters (C0, DEL, C1), the separators of lines and
/// paragraphs, and the marks that change the direction of text, so that it reads differently from what it is.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text from outside in one line: escaped where a terminal would obey it, line feeds included, and cut with a mark after `most`
/// characters. Text that is visible already stays the same.
pub(super) fn field(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    let mut characters = text.chars();
    let mut length = 0;
    while length < most {
        let Some(c) = characters.next() else { return shown };
        if is_obeyed(c) {
            let escaped = c.escape_default();
            length += escaped.len();
            shown.extend(escaped);
        } else {
            length += 1;
            shown.push(c);
        }
    }
    match characters.count() {
        0 => {}
        // Writing to a String does not fail.
        more => drop(write!(shown, "… ({})", counted(more, "more character"))),
    }
    shown
}

/// As [`field`], for text that is a part of a message with lines of its own.
pub(crate) fn visible(text: &str) -> String {
    field(text, LINE)
}

/// A line that no CI system takes for a command. GitHub's runner obeys lines that begin with `::`, and `##[` anywhere; others obey
/// `##vso[` and `##teamcity[`.
pub(super) fn inert(line: &str) -> Cow<'_, str> {
    let start = line.len() - line.trim_start().len();
    let mut inert = Cow::Borrowed(line);
    if line[start..].starts_with("::") {
        inert = Cow::Owned(format!("{}\\u{{3a}}{}", &line[..start], &line[start + 1..]));
    }
    match escape_hashes(&inert, "\\u{23}") {
        Some(escaped) => Cow::Owned(escaped),
        None => inert,
    }
}

/// JSON with the same value in which a terminal and a CI system find nothing to obey: such characters occur only inside of strings,
/// where JSON allows escapes.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| is_obeyed(c) && !matches!(c, '\n' | ' ');
    let mut shown = Cow::Borrowed(text);
    if text.contains(is_obeyed) {
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            if is_obeyed(c) {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            } else {
                escaped.push(c);
            }
        }
        shown = Cow::Owned(escaped);
    }
    match escape_hashes(&shown, "\\u0023") {
        Some(escaped) => Cow::Owned(escaped),
        None => shown,
    }
}

/// Escapes the first `#` of each `##WORD[`; none if there is no such place.
fn escape_hashes(text: &str, escape: &str) -> Option<String> {
    let is_command = |at: usize| {
        let rest = text[at + 2..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
        rest.starts_with('[')
    };
    let places: Vec<usize> = text
        .match_indices("##")
        .map(|(at, _)| at)
        .flat_map(|at| [at, at + 1])
        .filter(|at| text[*at..].starts_with("##") && is_command(*at))
        .collect();
    let mut rest = 0;
    let mut escaped = String::with_capacity(text.len());
    for at in &places {
        if *at >= rest {
            escaped.push_str(&text[rest..*at]);
            escaped.push_str(escape);
            rest = at + 1;
        }
    }
    escaped.push_str(&text[rest..]);
    (!places.is_empty()).then_some(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_everything_else_stays() {
        for (text, expected) in [
            ("Zürich \u{2713} \u{1f44d} \\n", "Zürich \u{2713} \u{1f44d} \\n"),
            ("a\nb\tc\rd\0", "a\\nb\\tc\\rd\\u{0}"),
            (
                "\u{1b}]0;x\u{7}\u{9b}1m\u{7f}",
                "\\u{1b}]0;x\\u{7}\\u{9b}1m\\u{7f}",
            ),
            (
                "a\u{202e}b\u{2066}c\u{2028}d\u{200f}",
                "a\\u{202e}b\\u{2066}c\\u{2028}d\\u{200f}",
            ),
        ] {
            assert_eq!(visible(text), expected);
            assert_eq!(visible(&visible(text)), expected, "visible text stays the same");
        }
    }

    #[test]
    fn long_text_is_cut_with_a_mark_whatever_it_is_made_of() {
        assert_eq!(field("abcdef", 6), "abcdef");
        assert_eq!(field("abcdefg", 6), "abcdef… (1 more character)");
        assert_eq!(field("äöü", 2), "äö… (1 more character)");
        let shown = visible(&"\u{1b}".repeat(100_000));
        assert!(
            shown.len() < LINE + 64 && shown.ends_with(" more characters)"),
            "{}",
            shown.len()
        );
    }

    #[test]
    fn no_line_is_a_command_of_a_ci_system() {
        for (line, expected) in [
            ("::error::x", "\\u{3a}:error::x"),
            (" \u{a0}::error::x", " \u{a0}\\u{3a}:error::x"),
            ("a::b", "a::b"),
            ("a ##[error]x", "a \\u{23}#[error]x"),
            ("###[error]##vso[task]", "#\\u{23}#[error]\\u{23}#vso[task]"),
            ("## a title [1]", "## a title [1]"),
            ("#### ", "#### "),
        ] {
            assert_eq!(inert(line), expected);
            assert_eq!(inert(&inert(line)), expected);
        }
    }

    #[test]
    fn json_keeps_its_value() {
        let value =
            serde_json::json!({"a": "\u{1b}[2J\n\u{7f}\u{9b}\u{202e}::error::##[error]###[x]ä", "##[k": 1});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(
            !shown.contains(|c: char| is_obeyed(c) && c != '\n') && !shown.contains("##["),
            "{shown}"
        );
        assert!(shown.contains('ä'), "{shown}");
    }
}
