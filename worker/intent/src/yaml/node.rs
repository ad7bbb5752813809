use std::rc::Rc;

use crate::place::Place;

/// A value and where it begins.
#[derive(Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// The value.
    pub value: Value,
    /// The number of values in it, itself included; an alias counts as all that it stands for.
    pub(super) size: usize,
}

/// A value as YAML 1.1 has it.
#[derive(Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A number that is not an integer, or too large for `i64`.
    Number(Number),
    /// A date, or a date and a time, as Python prints it.
    Date(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Rc<Node>>),
    /// In the order in which Python has the keys, without duplicates.
    Map(Vec<Pair>),
}

/// A number that is no `i64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer that is too large.
    Large(i128),
    /// A fraction, or an integer that is larger still.
    Fraction(f64),
}

/// A key of a map and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The key as text. Shared, because a map that is merged into many others gives them all its keys.
    pub key: Rc<str>,
    /// What the key is, if it is no text.
    pub key_kind: KeyKind,
    /// Where the key begins.
    pub key_place: Place,
    /// The value.
    pub value: Rc<Node>,
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Text.
    Text,
    /// An integer.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Nothing.
    Null,
}

impl Node {
    /// A value at a place.
    pub fn new(place: Place, value: Value) -> Self {
        let inside: usize = match &value {
            Value::List(items) => items.iter().map(|item| item.size).sum(),
            Value::Map(pairs) => pairs.iter().map(|pair| pair.value.size).sum(),
            _ => 0,
        };
        Self {
            place,
            value,
            size: inside + 1,
        }
    }

    /// The kind of the value, for error texts.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Boolean(_) => "true or false",
            Value::Integer(_) | Value::Number(_) => "a number",
            Value::Date(_) => "a date",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The keys of a map.
    pub fn as_map(&self) -> Option<&[Pair]> {
        match &self.value {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Rc<Node>]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// A text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Rc<Node>> {
        let pairs = self.as_map()?;
        pairs
            .iter()
            .find(|pair| *pair.key == *key)
            .map(|pair| &pair.value)
    }
}
