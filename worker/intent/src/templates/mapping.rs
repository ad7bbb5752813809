use std::collections::BTreeMap;

use lockstep_protocol::DeviceType;

use super::glob;
use crate::IntentProblem;
use crate::yaml::{self, Node};

/// The content of a platform's `mapping.yml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping(BTreeMap<DeviceType, TypeMapping>);

/// The templates of a device type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeMapping {
    /// The template that is rendered, as a path in the platform's folder.
    pub entrypoint: String,
    /// Further files that the configuration depends on: paths, and patterns as in Python's `fnmatch`.
    pub dependencies: Vec<String>,
}

/// The keys of a type. The last one has no effect here; CNaaS NMS uses it for devices that are partly configured by hand.
const KEYS: [&str; 3] = ["entrypoint", "dependencies", "unmanaged_config_sections"];

impl Mapping {
    /// Reads a mapping. Problems name `path`.
    ///
    /// # Errors
    /// All problems, with line and column.
    pub fn read(path: &[u8], bytes: &[u8]) -> Result<Self, Vec<IntentProblem>> {
        let root = yaml::load(path, bytes).map_err(|problem| vec![problem])?;
        let Some(pairs) = root.as_map() else {
            let reason = format!("must be a map of device types, is {}", root.kind());
            return Err(vec![IntentProblem::at(path, root.place, reason)]);
        };
        let mut types = BTreeMap::new();
        let mut problems = Vec::new();
        for pair in pairs {
            let Some(kind) = DeviceType::ALL.iter().find(|kind| kind.as_str() == pair.key) else {
                if pair.key != KEYS[2] {
                    problems.push(IntentProblem::at(path, pair.key_place, unknown_type(&pair.key)));
                }
                continue;
            };
            match read_type(path, &pair.value) {
                Ok(of) => drop(types.insert(*kind, of)),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            Ok(Self(types))
        } else {
            Err(problems)
        }
    }

    /// The device types with their templates.
    pub fn types(&self) -> impl Iterator<Item = (DeviceType, &TypeMapping)> {
        self.0.iter().map(|(kind, of)| (*kind, of))
    }
}

impl TypeMapping {
    /// Whether the configuration of the type depends on a file, given as a path in the platform's folder.
    pub fn depends_on(&self, file: &[u8]) -> bool {
        file == self.entrypoint.as_bytes()
            || self
                .dependencies
                .iter()
                .any(|pattern| file == pattern.as_bytes() || glob::matches(pattern, file))
    }
}

fn unknown_type(name: &str) -> String {
    if let Ok(kind) = name.parse::<DeviceType>() {
        return format!("unknown device type {name}; write {kind}");
    }
    let known: Vec<&str> = DeviceType::ALL.iter().map(|kind| kind.as_str()).collect();
    format!(
        "unknown device type {name:?}; expected one of {}",
        known.join(", ")
    )
}

fn read_type(path: &[u8], node: &Node) -> Result<TypeMapping, Vec<IntentProblem>> {
    let at = |node: &Node, reason: String| IntentProblem::at(path, node.place, reason);
    let Some(pairs) = node.as_map() else {
        let reason = format!(
            "must be a map with entrypoint and dependencies, is {}",
            node.kind()
        );
        return Err(vec![at(node, reason)]);
    };
    let mut problems = Vec::new();
    for pair in pairs.iter().filter(|pair| !KEYS.contains(&pair.key.as_str())) {
        // Keys of newer releases are ignored. A misspelled key is a problem: it would have no effect, and devices would stay synchronized.
        if let Some(known) = crate::settings::nearest(&pair.key, KEYS.into_iter()) {
            let reason = format!("unknown key {}; did you mean {known}?", pair.key);
            problems.push(IntentProblem::at(path, pair.key_place, reason));
        }
    }
    let entrypoint = match node.get(KEYS[0]).map(|value| (value, value.as_text())) {
        Some((_, Some(text))) if !text.is_empty() => text.to_owned(),
        Some((value, _)) => {
            let reason = format!("entrypoint must be the name of a template, is {}", value.kind());
            problems.push(at(value, reason));
            String::new()
        }
        None => {
            problems.push(at(
                node,
                "entrypoint is missing: the template to render".to_owned(),
            ));
            String::new()
        }
    };
    let mut dependencies = Vec::new();
    match node.get(KEYS[1]).map(|value| (value, value.as_list())) {
        None => {}
        Some((_, Some(items))) => {
            for item in items {
                match item.as_text() {
                    Some(text) => dependencies.push(text.to_owned()),
                    None => problems.push(at(
                        item,
                        format!("must be the name of a file, is {}", item.kind()),
                    )),
                }
            }
        }
        Some((value, None)) => {
            let reason = format!("dependencies must be a list, is {}", value.kind());
            problems.push(at(value, reason));
        }
    }
    if problems.is_empty() {
        Ok(TypeMapping {
            entrypoint,
            dependencies,
        })
    } else {
        Err(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_an_entrypoint_and_dependencies() {
        let text = "ACCESS:\n  entrypoint: access.j2\n  dependencies: [base.j2]\nDIST:\n  entrypoint: dist.j2\n\
                    \x20 unmanaged_config_sections: [x]\n  added_in_2030: yes\nunmanaged_config_sections: []\n";
        let mapping = Mapping::read(b"eos/mapping.yml", text.as_bytes()).unwrap();
        let read: Vec<_> = mapping
            .types()
            .map(|(kind, of)| format!("{kind} {} {:?}", of.entrypoint, of.dependencies))
            .collect();
        assert_eq!(read, ["ACCESS access.j2 [\"base.j2\"]", "DIST dist.j2 []"]);
        assert_eq!(Mapping::read(b"m", b"{}").unwrap(), Mapping::default());
    }

    #[test]
    fn a_problem_has_a_place() {
        let table = [
            ("", "1:1: must be a map of device types, is nothing"),
            ("- ACCESS", "1:1: must be a map of device types, is a list"),
            (
                "access: {entrypoint: a}",
                "1:1: unknown device type access; write ACCESS",
            ),
            (
                "SPINE: {entrypoint: a}",
                "1:1: unknown device type \"SPINE\"; expected one of UNKNOWN",
            ),
            ("ACCESS: a.j2", "1:9: must be a map with entrypoint"),
            ("ACCESS:\n  dependencies: []", "2:3: entrypoint is missing"),
            (
                "ACCESS:\n  entrypoint: 5",
                "2:15: entrypoint must be the name of a template, is a number",
            ),
            (
                "ACCESS:\n  entrypoint: a\n  dependencies: b",
                "3:17: dependencies must be a list, is text",
            ),
            (
                "ACCESS:\n  entrypoint: a\n  dependencies: [b, [c]]",
                "3:21: must be the name of a file, is a list",
            ),
            (
                "ACCESS:\n  entrypoint: a\n  dependancies: [b]",
                "3:3: unknown key dependancies; did you mean dependencies?",
            ),
            (
                "ACCESS: {entrypoint: a}\nACCESS: {entrypoint: b}",
                "2:1: duplicate key ACCESS",
            ),
        ];
        for (text, expected) in table {
            let problems = Mapping::read(b"m", text.as_bytes()).unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            let problem = problems[0].to_string();
            assert!(problem.starts_with(&format!("m:{expected}")), "{text}: {problem}");
        }
    }
}
