use std::collections::BTreeMap;

use super::nearest;
use crate::IntentProblem;
use crate::bounds::MOST_DECLARED_KEYS;
use crate::problem::FileProblems;
use crate::yaml::{self, Node, Value};

/// The keys that a repository declares in its `lockstep.yml`, beyond those of CNaaS NMS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declarations(BTreeMap<String, Kind>);

/// The kind of value of a declared key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    List,
    Map,
    Text,
    Number,
    Boolean,
}

const KINDS: [(&str, Kind); 6] = [
    ("any", Kind::Any),
    ("list", Kind::List),
    ("map", Kind::Map),
    ("text", Kind::Text),
    ("number", Kind::Number),
    ("boolean", Kind::Boolean),
];

impl Kind {
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::List => matches!(value, Value::List(_)),
            Self::Map => matches!(value, Value::Map(_)),
            Self::Text => matches!(value, Value::Text(_)),
            Self::Number => matches!(value, Value::Integer(_) | Value::Number(_)),
            Self::Boolean => matches!(value, Value::Boolean(_)),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Text => "text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
        }
    }
}

impl Declarations {
    /// Reads `extra_keys: {my_key: list, interfaces.poe_class: text}`.
    pub(super) fn read(path: &[u8], bytes: &[u8]) -> Result<Self, Vec<IntentProblem>> {
        let root = yaml::load(path, bytes).map_err(|problem| vec![problem])?;
        let mut problems = FileProblems::of(path);
        let mut keys = BTreeMap::new();
        match &root.value {
            Value::Null => {}
            Value::Map(pairs) => {
                for pair in pairs.iter().filter(|pair| *pair.key != *"extra_keys") {
                    let reason = format!(
                        "unknown key {}; the only key of lockstep.yml is extra_keys",
                        pair.key
                    );
                    problems.add(pair.key_place, reason);
                }
                if let Some(node) = root.get("extra_keys") {
                    extra_keys(node, &mut keys, &mut problems);
                }
            }
            _ => {
                let reason = format!("must be a map with the key extra_keys, is {}", root.kind());
                problems.add(root.place, reason);
            }
        }
        if problems.are_none() {
            Ok(Self(keys))
        } else {
            Err(problems.into_vec())
        }
    }

    /// The kind of a declared key; `None` if it is not declared. A nested key is `outer.inner`.
    pub(super) fn get(&self, key: &str) -> Option<Kind> {
        self.0.get(key).copied()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn extra_keys(node: &Node, keys: &mut BTreeMap<String, Kind>, problems: &mut FileProblems<'_>) {
    let Some(pairs) = node.as_map() else {
        if node.value != Value::Null {
            let reason = format!("extra_keys must be a map of keys to kinds, is {}", node.kind());
            problems.add(node.place, reason);
        }
        return;
    };
    if let Some(pair) = pairs.get(MOST_DECLARED_KEYS) {
        let reason = format!("extra_keys has more keys than the limit of {MOST_DECLARED_KEYS}; remove some");
        problems.add(pair.key_place, reason);
        return;
    }
    for pair in pairs {
        if problems.are_full() {
            return;
        }
        let kind = pair.value.as_text().unwrap_or_default();
        if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == kind) {
            keys.insert(pair.key.to_string(), *kind);
            continue;
        }
        let names = KINDS.map(|(name, _)| name);
        let advice = match nearest(kind, names.into_iter()) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("expected one of {}", names.join(", ")),
        };
        let reason = format!("the kind of {} is invalid; {advice}", pair.key);
        problems.add(pair.value.place, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_declared_with_a_kind() {
        let text = b"extra_keys:\n  racks: list\n  interfaces.poe_class: text\n  odd: any\n";
        let declarations = Declarations::read(b"lockstep.yml", text).unwrap();
        assert_eq!(declarations.get("racks"), Some(Kind::List));
        assert_eq!(declarations.get("interfaces.poe_class"), Some(Kind::Text));
        assert_eq!(declarations.get("rack"), None);
        for empty in ["", "extra_keys:", "{}"] {
            assert_eq!(
                Declarations::read(b"l", empty.as_bytes()).unwrap(),
                Declarations::default()
            );
        }
    }

    #[test]
    fn a_problem_has_a_place() {
        let table = [
            ("[]", "1:1: must be a map with the key extra_keys, is a list"),
            ("extra: {}", "1:1: unknown key extra"),
            ("extra_keys: [a]", "1:13: extra_keys must be a map"),
            (
                "extra_keys:\n  a: lists",
                "2:6: the kind of a is invalid; did you mean list?",
            ),
            (
                "extra_keys:\n  a: [list]",
                "2:6: the kind of a is invalid; expected one of any, list",
            ),
        ];
        for (text, expected) in table {
            let problems = Declarations::read(b"l", text.as_bytes()).unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            let problem = problems[0].to_string();
            assert!(problem.starts_with(&format!("l:{expected}")), "{text}: {problem}");
        }
    }
}
