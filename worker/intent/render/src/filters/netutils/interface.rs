//! Names of interfaces.

use std::cmp::Ordering;
use std::collections::HashMap;

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value};

use super::tables::{LONG_NAMES, SHORT_NAMES, look_up};
use crate::filters::arguments::{
    Arguments, Filter, MOST_ITEMS, Outcome, invalid, python_int, text, texts, too_many,
};
use crate::filters::regex::{self, Flags};

pub(super) const FILTERS: &[Filter] = &[
    ("interface_range_expansion", "interface_pattern", range_expansion),
    ("interface_range_compress", "interface_list", |arguments| {
        compress(&arguments.texts(0)?).map(texts)
    }),
    ("split_interface", "interface", |arguments| {
        let interface = arguments.text(0)?;
        let (head, tail) = split(&interface);
        Ok(Value::from(Tuple::from([Value::from(head), Value::from(tail)])))
    }),
    (
        "canonical_interface_name",
        "interface addl_name_map? verify?",
        |arguments| {
            let interface = arguments.text(0)?;
            match Names::new(arguments, 1)?.canonical(&interface) {
                Some(name) => Ok(Value::from(name)),
                None if arguments.is_true(2) => Err(no_match(&interface)),
                None => Ok(Value::from(interface)),
            }
        },
    ),
    (
        "canonical_interface_name_list",
        "interfaces addl_name_map? verify? order? reverse?",
        |arguments| {
            let names = Names::new(arguments, 1)?;
            let interfaces = arguments.texts(0)?;
            let plain = Names::default();
            let unknown: Vec<&str> = interfaces
                .iter()
                .filter(|name| plain.canonical(name).is_none_or(|long| long == **name))
                .map(String::as_str)
                .collect();
            let long = interfaces
                .iter()
                .map(|name| names.canonical(name).unwrap_or_else(|| name.clone()));
            ordered(arguments, 2, &unknown, long.collect())
        },
    ),
    (
        "abbreviated_interface_name",
        "interface addl_name_map? addl_reverse_map? verify?",
        |arguments| {
            let interface = arguments.text(0)?;
            match Names::new(arguments, 1)?.abbreviated(&interface) {
                Some(name) => Ok(Value::from(name)),
                None if arguments.is_true(3) => Err(no_match(&interface)),
                None => Ok(Value::from(interface)),
            }
        },
    ),
    (
        "abbreviated_interface_name_list",
        "interfaces addl_name_map? addl_reverse_map? verify? order? reverse?",
        |arguments| {
            let names = Names::new(arguments, 1)?;
            let interfaces = arguments.texts(0)?;
            let unknown: Vec<&str> = interfaces
                .iter()
                .filter(|name| names.abbreviated(name).is_none())
                .map(String::as_str)
                .collect();
            let short = interfaces
                .iter()
                .map(|name| names.abbreviated(name).unwrap_or_else(|| name.clone()));
            ordered(arguments, 3, &unknown, short.collect())
        },
    ),
    ("sort_interface_list", "interfaces", |arguments| {
        sort(&arguments.texts(0)?).map(texts)
    }),
];

fn no_match(interface: &str) -> Error {
    invalid(format!("Verify interface on and no match found for {interface}"))
}

/// A name up to its numbers, and its numbers.
fn split(interface: &str) -> (&str, &str) {
    let is_number = |character: char| character.is_ascii_digit() || "/\\.: ".contains(character);
    let head = interface.trim_end_matches(is_number);
    (head, interface[head.len()..].trim_start())
}

/// The tables of names, with what a template adds to them.
#[derive(Default)]
struct Names {
    long: HashMap<String, String>,
    short: HashMap<String, String>,
}

impl Names {
    /// Those of the argument at `index`, and those of abbreviations at the next, if the filter has one.
    fn new(arguments: &Arguments, index: usize) -> Result<Self, Error> {
        let table = |index: usize| -> Result<HashMap<String, String>, Error> {
            let Some(table) = arguments
                .some(index)
                .filter(|table| table.kind() == ValueKind::Map)
            else {
                return Ok(HashMap::new());
            };
            let keys = table.try_iter()?;
            keys.map(|key| Ok((text(&key)?, text(&table.get_item(&key)?)?)))
                .collect()
        };
        Ok(Self {
            long: table(index)?,
            short: table(index + 1)?,
        })
    }

    fn long_type<'a>(&'a self, kind: &str) -> Option<&'a str> {
        let added = self.long.get(kind).map(String::as_str);
        added.or_else(|| look_up(LONG_NAMES, kind))
    }

    fn canonical(&self, interface: &str) -> Option<String> {
        let (kind, numbers) = split(interface);
        self.long_type(kind).map(|kind| format!("{kind}{numbers}"))
    }

    fn abbreviated(&self, interface: &str) -> Option<String> {
        let (kind, numbers) = split(interface);
        let kind = self
            .long_type(kind)
            .filter(|kind| !kind.is_empty())
            .unwrap_or(kind);
        let added = self.short.get(kind).map(String::as_str);
        let short = added.or_else(|| look_up(SHORT_NAMES, kind))?;
        Some(format!("{short}{numbers}"))
    }
}

/// The names in the order that is asked for; the arguments `verify`, `order` and `reverse` begin at `index`.
fn ordered(arguments: &Arguments, index: usize, unknown: &[&str], mut names: Vec<String>) -> Outcome {
    let (order, reverse) = (arguments.text_or(index + 1, "")?, arguments.is_true(index + 2));
    if reverse && order.is_empty() {
        return Err(invalid("Order must be set to use reverse."));
    }
    if !order.is_empty() && order != "alphabetical" {
        return Err(invalid(format!("{order} is not one of the supported orderings")));
    }
    // netutils fails even if all are known.
    if arguments.is_true(index) {
        return Err(no_match(&unknown.join(", ")));
    }
    if !order.is_empty() {
        names = sort(&names)?;
    }
    if reverse {
        names.sort_by(|left, right| first_token(right).cmp(first_token(left)));
    }
    Ok(texts(names))
}

/// The word, the digits, or the one other character at the start.
fn first_token(name: &str) -> &str {
    let length = |matches: fn(char) -> bool| name.len() - name.trim_start_matches(matches).len();
    let word =
        length(|character| (character.is_alphanumeric() || character == '_') && !character.is_ascii_digit());
    let digits = length(|character| character.is_ascii_digit());
    let other = name.chars().next().map_or(0, char::len_utf8);
    let longest = if word + digits > 0 {
        word.max(digits)
    } else {
        other
    };
    &name[..longest]
}

/// A part of a name, in the order of parts: words, numbers, separators.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<'a> {
    Word(&'a str),
    Number(&'a str),
    Separator(&'a str),
}

impl Part<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Separator(text) => text,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Word(_) => 0,
            Self::Number(_) => 1,
            Self::Separator(_) => 2,
        }
    }
}

impl Ord for Part<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let separator = |text: &str| match text {
            "." => 1,
            "/" => 2,
            _ => 0,
        };
        let by_kind = match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                let digits = |text: &str| text.trim_start_matches('0').len();
                let value = |text| str::trim_start_matches(text, '0');
                (digits(left), value(left)).cmp(&(digits(right), value(right)))
            }
            (Self::Separator(left), Self::Separator(right)) => separator(left).cmp(&separator(right)),
            _ => self.rank().cmp(&other.rank()),
        };
        by_kind.then_with(|| self.text().cmp(other.text()))
    }
}

impl PartialOrd for Part<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn parts(interface: &str) -> Result<Vec<Part<'_>>, Error> {
    let mut parts = Vec::new();
    let mut rest = interface;
    while let Some(first) = rest.chars().next() {
        let run = |matches: fn(char) -> bool| &rest[..rest.len() - rest.trim_start_matches(matches).len()];
        let part = match first {
            'a'..='z' | 'A'..='Z' | '-' => Part::Word(run(|next| next.is_ascii_alphabetic() || next == '-')),
            '0'..='9' => Part::Number(run(|next| next.is_ascii_digit())),
            '.' | '/' => Part::Separator(run(|next| next == '.' || next == '/')),
            other => return Err(invalid(format!("unknown character '{other}'."))),
        };
        rest = &rest[part.text().len()..];
        parts.push(part);
    }
    Ok(parts)
}

/// Sorts names by their parts, each once.
fn sort(interfaces: &[String]) -> Result<Vec<String>, Error> {
    let mut split: Vec<(Vec<Part<'_>>, &String)> = interfaces
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| Ok((parts(name)?, name)))
        .collect::<Result<_, Error>>()?;
    split.sort();
    split.dedup();
    Ok(split.into_iter().map(|(_, name)| name.clone()).collect())
}

/// Joins names that differ in their last number, and follow one another, to ranges.
fn compress(interfaces: &[String]) -> Result<Vec<String>, Error> {
    let sorted = sort(interfaces)?;
    let mut ranges: Vec<(&str, i128, i128)> = Vec::new();
    for name in &sorted {
        let split = parts(name)?;
        let last = split.last().map_or("", Part::text);
        let number = python_int(last)
            .ok_or_else(|| invalid(format!("invalid literal for int() with base 10: '{last}'")))?;
        let module = &name[..name.len() - last.len()];
        match ranges.last_mut() {
            Some((known, _, end)) if *known == module && *end + 1 == number => *end = number,
            _ => ranges.push((module, number, number)),
        }
    }
    Ok(ranges
        .into_iter()
        .map(|(module, first, last)| {
            if first == last {
                format!("{module}{first}")
            } else {
                format!("{module}{first}-{last}")
            }
        })
        .collect())
}

fn range_expansion(arguments: &Arguments) -> Outcome {
    let pattern = arguments.text(0)?;
    let ranges = arguments.regex(r"(\[(?:\d|,|-)+\])", Flags::default(), &pattern)?;
    let mut names = vec![String::new()];
    let mut position = 0;
    for found in regex::find_all(&ranges, &pattern, usize::MAX)? {
        let Some(range) = found.get(0) else { continue };
        let numbers = numbers(&pattern[range.start() + 1..range.end() - 1])?;
        if names.len().saturating_mul(numbers.len()) > MOST_ITEMS {
            return Err(too_many());
        }
        let constant = &pattern[position..range.start()];
        names = names
            .iter()
            .flat_map(|name| {
                numbers
                    .iter()
                    .map(move |number| format!("{name}{constant}{number}"))
            })
            .collect();
        position = range.end();
    }
    let rest = &pattern[position..];
    Ok(texts(names.into_iter().map(|name| name + rest)))
}

/// The numbers of `1-4,7`.
fn numbers(range: &str) -> Result<Vec<i128>, Error> {
    let mut numbers = Vec::new();
    for value in range.split(',') {
        let int = |text: &str| {
            python_int(text)
                .ok_or_else(|| invalid(format!("invalid literal for int() with base 10: '{text}'")))
        };
        // A minus at the start is a sign.
        let dash = value
            .get(1..)
            .and_then(|rest| rest.find('-'))
            .map(|dash| dash + 1);
        let (first, last) = match dash {
            Some(dash) => (int(&value[..dash])?, int(&value[dash + 1..])?),
            None => (int(value)?, int(value)?),
        };
        if last.saturating_sub(first) >= MOST_ITEMS as i128 - numbers.len() as i128 {
            return Err(too_many());
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}
