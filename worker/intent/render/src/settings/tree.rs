use std::sync::Arc;

use lockstep_intent::IntentProblem;
use lockstep_intent::yaml::{KeyKind, Node, Number, Value as Yaml};
use minijinja::Value;

use super::membership::Membership;

/// Which keys of a file say to which devices a map of it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conditions {
    /// None: the file is the same for all devices.
    None,
    /// `groups`.
    Groups,
    /// `groups` and `devices`.
    GroupsAndDevices,
}

/// A value of a settings file. The parts that are the same for all devices are made once and shared.
#[derive(Debug)]
pub(super) enum Tree {
    /// The same for all devices.
    Fixed(Value),
    List(Vec<Tree>),
    Map {
        /// The groups and the hostnames to which it applies; to all devices if there are none.
        applies_to: Option<AppliesTo>,
        pairs: Vec<(Value, Tree)>,
    },
}

#[derive(Debug, Default)]
pub(super) struct AppliesTo {
    groups: Vec<Arc<str>>,
    /// In lower case.
    hostnames: Vec<String>,
}

impl Tree {
    /// Reads a value.
    ///
    /// # Errors
    /// If `groups` or `devices` is no list.
    pub(super) fn of(path: &str, node: &Node, conditions: Conditions) -> Result<Self, IntentProblem> {
        if conditions == Conditions::None {
            return Ok(Self::Fixed(value(node)));
        }
        let tree = match &node.value {
            Yaml::List(items) => {
                let items = items.iter().map(|item| Self::of(path, item, conditions));
                Self::List(items.collect::<Result<_, _>>()?)
            }
            Yaml::Map(pairs) => {
                let mut applies_to = None;
                let mut trees = Vec::with_capacity(pairs.len());
                for pair in pairs {
                    let list = match &*pair.key {
                        "groups" => true,
                        "devices" => conditions == Conditions::GroupsAndDevices,
                        _ => false,
                    };
                    let tree = if list && !is_empty(&pair.value) {
                        let names = names(path, &pair.key, &pair.value)?;
                        let applies_to: &mut AppliesTo = applies_to.get_or_insert_default();
                        if &*pair.key == "groups" {
                            applies_to.groups = names.map(Arc::from).collect();
                        } else {
                            applies_to.hostnames = names.map(str::to_ascii_lowercase).collect();
                        }
                        Self::Fixed(value(&pair.value))
                    } else {
                        Self::of(path, &pair.value, conditions)?
                    };
                    trees.push((key(&pair.key, pair.key_kind), tree));
                }
                Self::Map {
                    applies_to,
                    pairs: trees,
                }
            }
            _ => Self::Fixed(value(node)),
        };
        Ok(tree.shared())
    }

    /// The tree as one value, if nothing in it depends on the device.
    fn shared(self) -> Self {
        let fixed = |tree: &Self| matches!(tree, Self::Fixed(_));
        let of = |tree: Self| match tree {
            Self::Fixed(value) => value,
            Self::List(_) | Self::Map { .. } => Value::UNDEFINED,
        };
        match self {
            Self::List(items) if items.iter().all(fixed) => Self::Fixed(items.into_iter().map(of).collect()),
            Self::Map {
                applies_to: None,
                pairs,
            } if pairs.iter().all(|(_, tree)| fixed(tree)) => {
                let pairs = pairs.into_iter().map(|(key, tree)| (key, of(tree)));
                Self::Fixed(Value::from_pairs(pairs))
            }
            other => other,
        }
    }

    /// The value for a device; `None` if nothing of it applies to the device.
    pub(super) fn of_device(&self, membership: &Membership) -> Option<Value> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::List(items) => {
                let left: Vec<Value> = items
                    .iter()
                    .filter_map(|item| item.of_device(membership))
                    .collect();
                (!left.is_empty()).then(|| left.into())
            }
            Self::Map { applies_to, pairs } => {
                if applies_to
                    .as_ref()
                    .is_some_and(|applies_to| !applies_to.contains(membership))
                {
                    return None;
                }
                let left = pairs.iter();
                let left = left.filter_map(|(key, tree)| Some((key.clone(), tree.of_device(membership)?)));
                let left: Vec<(Value, Value)> = left.collect();
                (!left.is_empty()).then(|| Value::from_pairs(left))
            }
        }
    }
}

impl AppliesTo {
    fn contains(&self, membership: &Membership) -> bool {
        let in_group = |group: &Arc<str>| membership.groups.iter().any(|own| own.as_str() == &**group);
        self.groups.iter().any(in_group) || self.hostnames.contains(&membership.hostname)
    }
}

/// Whether Python takes the value for false.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        Yaml::Null | Yaml::Boolean(false) | Yaml::Integer(0) => true,
        Yaml::Text(text) => text.is_empty(),
        Yaml::List(items) => items.is_empty(),
        Yaml::Map(pairs) => pairs.is_empty(),
        Yaml::Boolean(_) | Yaml::Integer(_) | Yaml::Number(_) | Yaml::Date(_) => false,
    }
}

/// The texts of a list of names. Other values name nothing.
fn names<'n>(
    path: &str,
    key: &str,
    node: &'n Node,
) -> Result<impl Iterator<Item = &'n str> + use<'n>, IntentProblem> {
    let items = node.as_list().ok_or_else(|| {
        let reason = format!("{key} must be a list of names, is {}", node.kind());
        IntentProblem::at(path.as_bytes(), node.place, reason)
    })?;
    Ok(items.iter().filter_map(|item| item.as_text()))
}

/// A value of YAML as templates have it.
pub(crate) fn value(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::from(()),
        Yaml::Boolean(value) => (*value).into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Number(Number::Large(number)) => (*number).into(),
        Yaml::Number(Number::Fraction(number)) => (*number).into(),
        Yaml::Date(text) | Yaml::Text(text) => text.as_str().into(),
        Yaml::List(items) => items.iter().map(|item| value(item)).collect(),
        Yaml::Map(pairs) => {
            let pairs = pairs.iter();
            Value::from_pairs(pairs.map(|pair| (key(&pair.key, pair.key_kind), value(&pair.value))))
        }
    }
}

fn key(text: &str, kind: KeyKind) -> Value {
    match kind {
        KeyKind::Text => text.into(),
        KeyKind::Integer(number) => number.into(),
        KeyKind::Boolean(value) => value.into(),
        KeyKind::Null => Value::from(()),
    }
}

#[cfg(test)]
mod tests {
    use lockstep_intent::yaml;

    use super::*;

    fn filtered(text: &str, conditions: Conditions) -> String {
        let node = yaml::load(b"f.yml", text.as_bytes()).unwrap();
        let membership = Membership {
            hostname: "sw1".to_owned(),
            primary: None,
            groups: vec![
                "A".to_owned().try_into().unwrap(),
                "B".to_owned().try_into().unwrap(),
            ],
        };
        match Tree::of("f.yml", &node, conditions) {
            Ok(tree) => tree
                .of_device(&membership)
                .map_or("nothing".to_owned(), |value| value.to_string()),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn maps_of_other_groups_and_devices_are_left_out() {
        let both = Conditions::GroupsAndDevices;
        let table = [
            (
                "[{n: 1, groups: [A]}, {n: 2, groups: [C]}]",
                both,
                "[{'n': 1, 'groups': ['A']}]",
            ),
            (
                "{a: {groups: [C, B]}, b: {groups: [C]}}",
                both,
                "{'a': {'groups': ['C', 'B']}}",
            ),
            (
                "{a: {devices: [SW1]}, b: {devices: [sw2]}}",
                both,
                "{'a': {'devices': ['SW1']}}",
            ),
            (
                "{a: {devices: [sw2], groups: [A]}}",
                both,
                "{'a': {'devices': ['sw2'], 'groups': ['A']}}",
            ),
            ("{a: {devices: [sw2], groups: [C]}}", both, "nothing"),
            (
                "{a: {devices: [sw2]}}",
                Conditions::Groups,
                "{'a': {'devices': ['sw2']}}",
            ),
            ("{a: {groups: [C]}}", Conditions::None, "{'a': {'groups': ['C']}}"),
            // An empty list is no condition, and empty values stay.
            (
                "{a: {groups: [], x: '', y: 0, z: [], n: }}",
                both,
                "{'a': {'groups': [], 'x': '', 'y': 0, 'z': [], 'n': None}}",
            ),
            // What becomes empty by filtering disappears.
            ("{a: {b: [{groups: [C]}]}, c: 1}", both, "{'c': 1}"),
            ("{a: [[{groups: [C]}], 0]}", both, "{'a': [0]}"),
            (
                "{a: {groups: all}}",
                both,
                "f.yml:1:14: groups must be a list of names, is text",
            ),
            (
                "{a: {devices: {sw1: x}}}",
                both,
                "f.yml:1:15: devices must be a list of names, is a map",
            ),
            ("{10: a, true: b, x: {groups: [C]}}", both, "{10: 'a', True: 'b'}"),
        ];
        for (text, conditions, expected) in table {
            assert_eq!(filtered(text, conditions), expected, "{text}");
        }
    }

    #[test]
    fn what_is_the_same_for_all_devices_is_shared() {
        let node = yaml::load(b"f", b"{a: [{b: {c: 1}}], d: {groups: [A]}}").unwrap();
        let tree = Tree::of("f", &node, Conditions::Groups).unwrap();
        let Tree::Map { pairs, .. } = tree else {
            panic!("{tree:?}")
        };
        assert!(matches!(pairs[0].1, Tree::Fixed(_)) && matches!(pairs[1].1, Tree::Map { .. }));
    }

    #[test]
    fn keys_keep_their_order_and_their_kind() {
        let node = yaml::load(b"f", b"z: 1\na: 1.5\n10: 2024-01-02\nm: 18446744073709551616\n").unwrap();
        assert_eq!(
            value(&node).to_string(),
            "{'z': 1, 'a': 1.5, 10: '2024-01-02', 'm': 18446744073709551616}"
        );
    }
}
