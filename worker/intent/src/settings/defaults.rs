//! The values that CNaaS NMS gives to keys that are absent in settings.

use std::rc::Rc;

use super::keys;
use super::shape::{Default, Field, Shape};
use crate::place::Place;
use crate::yaml::{KeyKind, Node, Pair, Value};

/// The keys of settings that have a value where no file sets them, with that value. They have the place of no file.
pub fn defaults() -> Vec<Pair> {
    let place = Place { line: 0, column: 0 };
    let mut pairs = Vec::new();
    add_absent(&mut pairs, keys::ROOT, place);
    pairs
}

/// The value of a key of settings as CNaaS NMS has it: absent keys of its items have their default, and numbers and booleans in quotes are
/// numbers and booleans.
pub fn completed(key: &str, value: &Rc<Node>) -> Rc<Node> {
    match keys::ROOT.iter().find(|field| field.key == key) {
        Some(field) => complete(value, &field.shape),
        None => Rc::clone(value),
    }
}

fn complete(node: &Rc<Node>, shape: &Shape) -> Rc<Node> {
    let completed = match (shape, &node.value) {
        (Shape::List(shape) | Shape::OneOrMore(shape), Value::List(items)) => {
            Value::List(items.iter().map(|item| complete(item, shape)).collect())
        }
        (Shape::Optional(shape) | Shape::OneOrMore(shape), _) => return complete(node, shape),
        (Shape::Named(shape), Value::Map(pairs)) => {
            let completed = |pair: &Pair| Pair {
                value: complete(&pair.value, shape),
                ..pair.clone()
            };
            Value::Map(pairs.iter().map(completed).collect())
        }
        (Shape::Record(fields), Value::Map(pairs)) => {
            let completed = |pair: &Pair| {
                let field = fields.iter().find(|field| field.key == &*pair.key);
                let value = field.map_or_else(
                    || Rc::clone(&pair.value),
                    |field| complete(&pair.value, &field.shape),
                );
                Pair {
                    value,
                    ..pair.clone()
                }
            };
            let mut pairs: Vec<Pair> = pairs.iter().map(completed).collect();
            add_absent(&mut pairs, fields, node.place);
            Value::Map(pairs)
        }
        (Shape::Number(..), Value::Text(text)) => match text.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => return Rc::clone(node),
        },
        (Shape::Boolean, Value::Text(text)) => match text.parse() {
            Ok(value) => Value::Boolean(value),
            Err(_) => return Rc::clone(node),
        },
        _ => return Rc::clone(node),
    };
    Rc::new(Node::new(node.place, completed))
}

/// Adds the defaults of the keys that are not there.
fn add_absent(pairs: &mut Vec<Pair>, fields: &[Field], place: Place) {
    for field in fields {
        if pairs.iter().any(|pair| &*pair.key == field.key) {
            continue;
        }
        let value = match (field.default, &field.shape) {
            (Default::Boolean(value), _) => Value::Boolean(value),
            (Default::Text(text), _) => Value::Text(text.to_owned()),
            (Default::OfShape, Shape::Optional(_)) => Value::Null,
            (Default::OfShape, Shape::List(_)) => Value::List(Vec::new()),
            (Default::OfShape, Shape::Named(_)) => Value::Map(Vec::new()),
            (Default::Absent | Default::OfShape, _) => continue,
        };
        pairs.push(Pair {
            key: field.key.into(),
            key_kind: KeyKind::Text,
            key_place: place,
            value: Rc::new(Node::new(place, value)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Boolean(value) => value.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!(
                "[{}]",
                items
                    .iter()
                    .map(|item| shown(item))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            Value::Map(pairs) => format!("{{{}}}", listed(pairs)),
            other => format!("{other:?}"),
        }
    }

    fn listed(pairs: &[Pair]) -> String {
        let pairs = pairs
            .iter()
            .map(|pair| format!("{}: {}", pair.key, shown(&pair.value)));
        pairs.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn keys_that_no_file_sets_have_the_defaults_of_cnaas() {
        let defaults = listed(&defaults());
        for expected in [
            "ntp_servers: []",
            "vxlans: {}",
            "vrfs: []",
            "underlay: null",
            "cli_append_str: \"\"",
        ] {
            assert!(defaults.contains(expected), "{expected}: {defaults}");
        }
    }

    #[test]
    fn items_have_the_defaults_of_cnaas_and_numbers_in_quotes_are_numbers() {
        let table = [
            ("evpn_peers: [{hostname: d1}]", "evpn_peers: [{hostname: \"d1\"}]"),
            (
                "radius_servers: [{host: a}, {host: b, port: '1812'}]",
                "radius_servers: [{host: \"a\", port: null}, {host: \"b\", port: 1812}]",
            ),
            (
                "dot1x_multi_host: 'true'\nmine: {a: '1'}",
                "dot1x_multi_host: true, mine: {a: \"1\"}",
            ),
            (
                "vrfs: [{name: A, groups: [g]}]",
                "vrfs: [{name: \"A\", groups: [\"g\"], import_route_targets: [], export_route_targets: [], import_policy: null, export_policy: null}]",
            ),
            ("ntp_servers: wrong", "ntp_servers: \"wrong\""),
        ];
        for (text, expected) in table {
            let root = yaml::load(b"f", text.as_bytes()).unwrap();
            let pairs = root.as_map().unwrap().iter().map(|pair| Pair {
                value: completed(&pair.key, &pair.value),
                ..pair.clone()
            });
            assert_eq!(listed(&pairs.collect::<Vec<_>>()), expected, "{text}");
        }
    }
}
