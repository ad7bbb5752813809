//! Finds plain words that another YAML reader takes for something else than YAML 1.1 does.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value as Json;

use super::{Value, scalar};

/// A plain word with two meanings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmbiguousWord {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// As it is written.
    pub word: String,
    /// What it is in YAML 1.1, and so to CNaaS NMS.
    pub meaning: String,
}

/// The plain words in the values of this key, at any depth, that `read` takes for something else than YAML 1.1 does. Stops at invalid
/// YAML.
pub fn ambiguous_words(text: &str, key: &str, read: impl Fn(&str) -> Option<Json>) -> Vec<AmbiguousWord> {
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        match event {
            Event::Scalar(word, style, _, tag) => {
                let of_key = value_is_of_key(&open);
                let is_key = next(&mut open, &word, key);
                if is_key || !of_key || style != ScalarStyle::Plain || tag.is_some() {
                    continue;
                }
                if let Some(meaning) = other_meaning(&word, read(&word).as_ref()) {
                    found.push(AmbiguousWord {
                        line: span.start.line(),
                        column: span.start.col() + 1,
                        word: word.into_owned(),
                        meaning,
                    });
                }
            }
            Event::Alias(_) => {
                next(&mut open, "", key);
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let of_key = value_is_of_key(&open);
                next(&mut open, "", key);
                let map = matches!(event, Event::MappingStart(..)).then_some(InMap {
                    is_value_next: false,
                    value_of_key: false,
                });
                open.push(Open { of_key, map });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
            }
            _ => {}
        }
    }
    found
}

/// A list or a map that has not ended.
struct Open {
    /// Whether all of it is in a value of the key.
    of_key: bool,
    /// `None` in a list.
    map: Option<InMap>,
}

/// Where the parser is in a map.
struct InMap {
    /// Whether the next node is a value.
    is_value_next: bool,
    /// Whether the next value is one of the key.
    value_of_key: bool,
}

fn value_is_of_key(open: &[Open]) -> bool {
    open.last()
        .is_some_and(|last| last.of_key || last.map.as_ref().is_some_and(|map| map.value_of_key))
}

/// Goes on to the next node. Whether this one, with this text, was a key of a map.
fn next(open: &mut [Open], word: &str, key: &str) -> bool {
    let Some(map) = open.last_mut().and_then(|last| last.map.as_mut()) else {
        return false;
    };
    let is_key = !map.is_value_next;
    map.is_value_next = is_key;
    map.value_of_key = is_key && word == key;
    is_key
}

/// What a word is in YAML 1.1, if it was read as something else.
fn other_meaning(word: &str, read: Option<&Json>) -> Option<String> {
    let Ok(value) = scalar::plain(word, false) else {
        return Some("nothing that can be loaded".to_owned());
    };
    let is_same = match (&value, read) {
        // JSON has neither infinity nor numbers of any size.
        (_, None)
        | (Value::Null, Some(Json::Null))
        | (Value::Number(_), Some(Json::Number(_) | Json::Null)) => true,
        (Value::Boolean(value), Some(Json::Bool(read))) => value == read,
        (Value::Integer(value), Some(Json::Number(read))) => read.as_i64() == Some(*value),
        (Value::Text(value), Some(Json::String(read))) => value == read,
        _ => false,
    };
    (!is_same).then(|| match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Number(_) => "a number".to_owned(),
        Value::Date(_) => "a date".to_owned(),
        Value::Text(_) | Value::List(_) | Value::Map(_) => "text".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader to which digits are decimal and everything else is text.
    #[expect(clippy::unnecessary_wraps, reason = "readers may fail")]
    fn read(word: &str) -> Option<Json> {
        Some(word.parse::<i64>().map_or_else(|_| word.into(), Json::from))
    }

    #[test]
    fn words_in_values_of_the_key_are_compared() {
        let text = "- hostname: 010\n  interfaces:\n  - name: 010\n    configuration: {vlan: 010, 010: [7, '010', 1:30, {a: yes}], b: x}\n\
                    - configuration: 0x10\n- {configuration: [2026-03-01, 9], other: yes}\n";
        let found: Vec<String> = ambiguous_words(text, "configuration", read)
            .into_iter()
            .map(|word| format!("{}:{} {} {}", word.line, word.column, word.word, word.meaning))
            .collect();
        let expected = [
            "4:27 010 8",
            "4:48 1:30 90",
            "4:58 yes true",
            "5:18 0x10 16",
            "6:20 2026-03-01 a date",
        ];
        assert_eq!(found, expected);
        assert_eq!(ambiguous_words("a: [", "configuration", read), []);
    }
}
