use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lockstep_protocol::Hostname;

use super::declarations::Declarations;
use super::{GROUPS_FILE, nearest};
use crate::problem::FileProblems;
use crate::yaml::{Node, Pair, Value};

/// The shape of a value.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    Boolean,
    /// An integer within these bounds, both included. As in CNaaS NMS it may be in quotes.
    Number(i64, i64),
    /// An integer, or text.
    NumberOrText,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An IP address or a hostname.
    Host,
    Ipv4,
    Ipv6,
    /// An IPv4 address with a prefix length.
    Ipv4Prefix,
    Ipv6Prefix,
    /// An address of either version with a prefix length.
    Prefix,
    /// The shape, or null.
    Optional(&'static Shape),
    List(&'static Shape),
    /// A list, or its only item without a list.
    OneOrMore(&'static Shape),
    /// A map with any keys, whose values have one shape.
    Named(&'static Shape),
    /// A map with these keys.
    Record(&'static [Field]),
}

/// A key of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    /// Its value where it is absent.
    pub(super) default: Default,
}

/// The value of an absent key, as CNaaS NMS has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Default {
    /// There is none.
    Absent,
    /// What follows from the shape: nothing for an optional value, an empty list or map.
    OfShape,
    Boolean(bool),
    Text(&'static str),
}

/// The shape of a filter: names of groups or devices.
static FILTER: Shape = Shape::Optional(&Shape::List(&Shape::Text));

/// Checks the values of one file.
pub(super) struct Checker<'a> {
    pub(super) declarations: &'a Declarations,
    /// The keys by which any map in the file may say for which devices it is (docs/explanation/rendering.md).
    pub(super) filters: &'static [&'static str],
    pub(super) problems: FileProblems<'a>,
}

impl Checker<'_> {
    /// Checks a value. `name` is the path of keys to it, joined by dots, without list indices and without the keys of named items.
    pub(super) fn check(&mut self, name: &str, node: &Node, shape: &Shape) {
        match shape {
            _ if self.problems.are_full() => {}
            Shape::Optional(_) if node.value == Value::Null => {}
            Shape::Optional(shape) => self.check(name, node, shape),
            Shape::List(shape) => match node.as_list() {
                Some(items) => items.iter().for_each(|item| self.check(name, item, shape)),
                None => self.wrong(name, node, shape_name(&Shape::List(shape))),
            },
            Shape::OneOrMore(shape) => match node.as_list() {
                Some(items) => items.iter().for_each(|item| self.check(name, item, shape)),
                None => self.check(name, node, shape),
            },
            Shape::Named(shape) => match node.as_map() {
                Some(pairs) => pairs.iter().for_each(|pair| self.check(name, &pair.value, shape)),
                None => self.wrong(name, node, "a map"),
            },
            Shape::Record(fields) => match node.as_map() {
                Some(pairs) => self.record(name, node, pairs, fields),
                None => self.wrong(name, node, "a map"),
            },
            shape => {
                if !fits(shape, &node.value) {
                    self.scalar(name, node, shape);
                }
            }
        }
    }

    /// Checks the keys of a map, at the top of a file (`name` is empty) or below.
    pub(super) fn record(&mut self, name: &str, node: &Node, pairs: &[Pair], fields: &'static [Field]) {
        for pair in pairs {
            if self.problems.are_full() {
                return;
            }
            let inner = if name.is_empty() {
                pair.key.to_string()
            } else {
                format!("{name}.{}", pair.key)
            };
            if let Some(field) = fields.iter().find(|field| field.key == &*pair.key) {
                self.check(&inner, &pair.value, &field.shape);
            } else if let Some(kind) = self.declarations.get(&inner) {
                if !kind.fits(&pair.value.value) {
                    self.wrong(&inner, &pair.value, kind.name());
                }
            } else if !name.is_empty() && self.filters.contains(&&*pair.key) {
                self.check(&inner, &pair.value, &FILTER);
            } else {
                self.unknown(&inner, pair, fields);
            }
        }
        for field in fields.iter().filter(|field| field.required) {
            if !pairs.iter().any(|pair| &*pair.key == field.key) {
                let reason = format!("{name} lacks the required key {}", field.key);
                self.problems.add(node.place, reason);
            }
        }
    }

    fn unknown(&mut self, inner: &str, pair: &Pair, fields: &'static [Field]) {
        let declared = self.declarations.keys().filter_map(|key| {
            let outer = inner.strip_suffix(&*pair.key)?;
            key.strip_prefix(outer).filter(|rest| !rest.contains('.'))
        });
        let known = fields.iter().map(|field| field.key).chain(declared);
        let advice = match nearest(&pair.key, known) {
            _ if inner == "groups" => format!("groups are defined in {GROUPS_FILE}"),
            Some(known) => format!("did you mean {known}?"),
            None => format!("if it is intended, declare it in lockstep.yml: `extra_keys: {{{inner}: any}}`"),
        };
        let reason = format!("unknown key {inner}; {advice}");
        self.problems.add(pair.key_place, reason);
    }

    fn wrong(&mut self, name: &str, node: &Node, expected: &str) {
        let reason = format!("{name} must be {expected}, is {}", node.kind());
        self.problems.add(node.place, reason);
    }

    fn scalar(&mut self, name: &str, node: &Node, shape: &Shape) {
        let expected = match shape {
            Shape::Number(least, most) => format!("a number from {least} to {most}"),
            Shape::Word(words) => format!("one of {}", words.join(", ")),
            shape => shape_name(shape).to_owned(),
        };
        let reason = match &node.value {
            Value::Integer(number) if matches!(shape, Shape::Number(..)) => {
                format!("{name} must be {expected}, is {number}")
            }
            Value::Integer(_) | Value::Number(_) | Value::Date(_) | Value::Boolean(_)
                if matches!(shape, Shape::Text) =>
            {
                format!("{name} must be {expected}, is {}; put it in quotes", node.kind())
            }
            // The text may be a password in the wrong place, so it is not repeated.
            Value::Text(_) => format!("{name} must be {expected}, is other text"),
            _ => format!("{name} must be {expected}, is {}", node.kind()),
        };
        self.problems.add(node.place, reason);
    }
}

fn shape_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Text => "text",
        Shape::Boolean => "true or false",
        Shape::Number(..) => "a number",
        Shape::NumberOrText => "a number or text",
        Shape::Word(_) => "a word",
        Shape::Host => "an IP address or a name",
        Shape::Ipv4 => "an IPv4 address",
        Shape::Ipv6 => "an IPv6 address",
        Shape::Ipv4Prefix => "an IPv4 address with a prefix length, such as 10.0.0.1/24",
        Shape::Ipv6Prefix => "an IPv6 address with a prefix length, such as 2001:db8::1/64",
        Shape::Prefix => "an IP address with a prefix length, such as 10.0.0.0/8",
        Shape::Optional(shape) => shape_name(shape),
        Shape::List(_) | Shape::OneOrMore(_) => "a list",
        Shape::Named(_) | Shape::Record(_) => "a map",
    }
}

fn fits(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Boolean, Value::Boolean(_))
        | (Shape::Text, Value::Text(_))
        | (Shape::NumberOrText, Value::Text(_) | Value::Integer(_)) => true,
        (Shape::Boolean, Value::Text(text)) => matches!(text.as_str(), "true" | "false"),
        (Shape::Number(least, most), Value::Integer(number)) => (*least..=*most).contains(number),
        (Shape::Number(least, most), Value::Text(text)) => text
            .parse()
            .is_ok_and(|number: i64| (*least..=*most).contains(&number)),
        (shape, Value::Text(text)) => fits_text(shape, text),
        _ => false,
    }
}

fn fits_text(shape: &Shape, text: &str) -> bool {
    match shape {
        Shape::Word(words) => words.contains(&text),
        Shape::Host => text.parse::<IpAddr>().is_ok() || text.parse::<Hostname>().is_ok(),
        Shape::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
        Shape::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
        Shape::Ipv4Prefix => is_prefix::<Ipv4Addr>(text, 32),
        Shape::Ipv6Prefix => is_prefix::<Ipv6Addr>(text, 128),
        Shape::Prefix => is_prefix::<Ipv4Addr>(text, 32) || is_prefix::<Ipv6Addr>(text, 128),
        _ => false,
    }
}

fn is_prefix<A: std::str::FromStr>(text: &str, most: u8) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        let digits = length.bytes().all(|byte| byte.is_ascii_digit());
        digits && address.parse::<A>().is_ok() && length.parse::<u8>().is_ok_and(|length| length <= most)
    })
}
