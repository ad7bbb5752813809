use std::rc::Rc;

use crate::place::Place;

/// A value and where it begins.
#[derive(Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
    /// The number of values in it, itself included; an alias counts as all that it stands for.
    pub(super) size: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    /// A number that is not an integer, or too large for `i64`.
    Number,
    /// A date, or a date and a time.
    Date,
    Text(String),
    List(Vec<Rc<Node>>),
    /// In the order of the file, without duplicate keys.
    Map(Vec<Pair>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair {
    /// Shared, because a map that is merged into many others gives them all its keys.
    pub(crate) key: Rc<str>,
    pub(crate) key_place: Place,
    pub(crate) value: Rc<Node>,
}

impl Node {
    /// The kind of the value, for error texts.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Boolean(_) => "true or false",
            Value::Integer(_) | Value::Number => "a number",
            Value::Date => "a date",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    pub(crate) fn as_map(&self) -> Option<&[Pair]> {
        match &self.value {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Rc<Node>]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Rc<Node>> {
        let pairs = self.as_map()?;
        pairs
            .iter()
            .find(|pair| *pair.key == *key)
            .map(|pair| &pair.value)
    }
}
