use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockstep_protocol::DeviceType;

use super::glob::Glob;
use crate::IntentProblem;
use crate::bounds::{MOST_DEPENDENCIES, MOST_PATH_BYTES};
use crate::fleet::DeviceTypes;
use crate::problem::FileProblems;
use crate::settings::nearest;
use crate::yaml::{self, Node, Value};

/// The content of a platform's `mapping.yml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    types: Arc<BTreeMap<DeviceType, TypeMapping>>,
    warnings: Arc<Vec<IntentProblem>>,
}

/// The templates of a device type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeMapping {
    /// The template that is rendered, as a path in the platform's folder.
    pub entrypoint: String,
    /// Further files that the configuration depends on, by their paths.
    pub dependencies: BTreeSet<String>,
    /// Those of them that are patterns as in Python's `fnmatch`, too.
    patterns: Vec<Glob>,
}

/// The keys of a type. The last one has no effect here; CNaaS NMS uses it for devices that are partly configured by hand.
const KEYS: [&str; 3] = ["entrypoint", "dependencies", "unmanaged_config_sections"];

impl Mapping {
    /// Reads a mapping. Problems name `path`.
    ///
    /// # Errors
    /// All problems, with line and column.
    pub fn read(path: &[u8], bytes: &[u8], known: &DeviceTypes) -> Result<Self, Vec<IntentProblem>> {
        let root = yaml::load(path, bytes).map_err(|problem| vec![problem])?;
        let Some(pairs) = root.as_map() else {
            let reason = format!("must be a map of device types, is {}", root.kind());
            return Err(vec![IntentProblem::at(path, root.place, reason)]);
        };
        let mut types = BTreeMap::new();
        let mut problems = FileProblems::of(path);
        let mut warnings = FileProblems::of(path);
        for pair in pairs {
            if problems.are_full() {
                break;
            }
            let kind = DeviceType::try_from(pair.key.to_string()).ok();
            let Some(kind) = kind.filter(|kind| known.contains(kind)) else {
                if *pair.key != *KEYS[2] {
                    warnings.add(pair.key_place, unknown_type(&pair.key, known));
                }
                continue;
            };
            if let Some(of) = read_type(&pair.value, &mut problems) {
                types.insert(kind, of);
            }
        }
        if problems.are_none() {
            Ok(Self {
                types: Arc::new(types),
                warnings: Arc::new(warnings.into_vec()),
            })
        } else {
            Err(problems.into_vec())
        }
    }

    /// The device types with their templates.
    pub fn types(&self) -> impl Iterator<Item = (&DeviceType, &TypeMapping)> {
        self.types.iter()
    }

    /// The keys that are no device types. As in CNaaS NMS they are ignored.
    pub fn warnings(&self) -> &[IntentProblem] {
        &self.warnings
    }
}

impl TypeMapping {
    /// Whether the configuration of the type depends on a file, given as a path in the platform's folder, and as its characters.
    /// Takes what it costs from `steps`; `None` if they are not enough.
    pub(super) fn depends_on(&self, file: &[u8], characters: &[char], steps: &mut u64) -> Option<bool> {
        let named = |file: &str| file == self.entrypoint || self.dependencies.contains(file);
        if std::str::from_utf8(file).is_ok_and(named) {
            return Some(true);
        }
        for pattern in &self.patterns {
            if pattern.matches(characters, steps)? {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// CNaaS NMS ignores what it does not know, such as a type of a newer release.
fn unknown_type(name: &str, known: &DeviceTypes) -> String {
    let advice = match nearest(&name.to_uppercase(), known.names()) {
        Some(kind) => format!("did you mean {kind}?"),
        None => format!(
            "expected one of {}, or a type that is declared in [devices.types]",
            known.names().collect::<Vec<_>>().join(", ")
        ),
    };
    format!("unknown device type {name:?}, which is ignored; {advice}")
}

/// Reads a type; `None` if it has problems.
fn read_type(node: &Node, problems: &mut FileProblems<'_>) -> Option<TypeMapping> {
    let Some(pairs) = node.as_map() else {
        let reason = format!(
            "must be a map with entrypoint and dependencies, is {}",
            node.kind()
        );
        problems.add(node.place, reason);
        return None;
    };
    let mut valid = true;
    let mut add = |place, reason: String| {
        valid = false;
        problems.add(place, reason);
        !problems.are_full()
    };
    for pair in pairs.iter().filter(|pair| !KEYS.contains(&&*pair.key)) {
        // Keys of newer releases are ignored. A misspelled key is a problem: it would have no effect, and devices would stay synchronized.
        if let Some(known) = nearest(&pair.key, KEYS.into_iter())
            && !add(
                pair.key_place,
                format!("unknown key {}; did you mean {known}?", pair.key),
            )
        {
            return None;
        }
    }
    let entrypoint = match node.get(KEYS[0]).map(|value| (value, value.as_text())) {
        Some((_, Some(text))) if !text.is_empty() => text.to_owned(),
        Some((value, _)) => {
            let reason = format!("entrypoint must be the name of a template, is {}", value.kind());
            add(value.place, reason);
            String::new()
        }
        None => {
            add(
                node.place,
                "entrypoint is missing: the template to render".to_owned(),
            );
            String::new()
        }
    };
    let mut dependencies = BTreeSet::new();
    match node.get(KEYS[1]).map(|value| (value, value.as_list())) {
        None => {}
        // As in CNaaS NMS: none.
        Some((value, None)) if value.value == Value::Null => {}
        Some((value, Some(items))) if items.len() > MOST_DEPENDENCIES => {
            let reason = format!(
                "there are {} dependencies, more than the limit of {MOST_DEPENDENCIES}; use patterns such as base/*.j2",
                items.len()
            );
            add(value.place, reason);
        }
        Some((_, Some(items))) => {
            for item in items {
                let reason = match item.as_text() {
                    Some(text) if text.len() <= MOST_PATH_BYTES => {
                        dependencies.insert(text.to_owned());
                        continue;
                    }
                    Some(text) => format!(
                        "the name has {} bytes, more than the limit of {MOST_PATH_BYTES}; shorten it",
                        text.len()
                    ),
                    None => format!("must be the name of a file, is {}", item.kind()),
                };
                if !add(item.place, reason) {
                    return None;
                }
            }
        }
        Some((value, None)) => {
            let reason = format!("dependencies must be a list, is {}", value.kind());
            add(value.place, reason);
        }
    }
    let is_pattern = |text: &&String| text.contains(['*', '?', '[']);
    let patterns = dependencies
        .iter()
        .filter(is_pattern)
        .map(|text| Glob::new(text))
        .collect();
    valid.then_some(TypeMapping {
        entrypoint,
        dependencies,
        patterns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::TypeRule;

    #[test]
    fn types_have_an_entrypoint_and_dependencies() {
        let text = "ACCESS:\n  entrypoint: access.j2\n  dependencies: [base.j2]\nDIST:\n  entrypoint: dist.j2\n\
                    \x20 unmanaged_config_sections: [x]\n  added_in_2030: yes\nunmanaged_config_sections: []\n";
        let mapping = Mapping::read(b"eos/mapping.yml", text.as_bytes(), &DeviceTypes::default()).unwrap();
        let read: Vec<_> = mapping
            .types()
            .map(|(kind, of)| format!("{kind} {} {:?}", of.entrypoint, of.dependencies))
            .collect();
        assert_eq!(read, ["ACCESS access.j2 {\"base.j2\"}", "DIST dist.j2 {}"]);
        assert_eq!(
            Mapping::read(b"m", b"{}", &DeviceTypes::default()).unwrap(),
            Mapping::default()
        );
    }

    #[test]
    fn what_cnaas_nms_ignores_is_ignored_with_a_warning() {
        let table = [
            ("ACCESS: {entrypoint: a, dependencies: }", "ACCESS", ""),
            ("ACCESS: {entrypoint: a, dependencies: null}", "ACCESS", ""),
            (
                "ACCESS: {entrypoint: a, unmanaged_config_sections: }",
                "ACCESS",
                "",
            ),
            (
                "ACCESS: {entrypoint: a}\nunmanaged_config_sections:",
                "ACCESS",
                "",
            ),
            (
                "access: {entrypoint: a}",
                "",
                "m:1:1: unknown device type \"access\", which is ignored; did you mean ACCESS?",
            ),
            (
                "DIST: {entrypoint: d}\nACESS:",
                "DIST",
                "m:2:1: unknown device type \"ACESS\", which is ignored; did you mean ACCESS?",
            ),
            (
                "SPINE: {entrypoint: a}",
                "",
                "m:1:1: unknown device type \"SPINE\", which is ignored; expected one of UNKNOWN, ACCESS, DIST, CORE, FIREWALL, or a type that is declared in [devices.types]",
            ),
        ];
        for (text, types, warning) in table {
            let mapping = Mapping::read(b"m", text.as_bytes(), &DeviceTypes::default()).unwrap();
            let found: Vec<&str> = mapping.types().map(|(kind, _)| kind.as_str()).collect();
            assert_eq!(found.join(" "), types, "{text}");
            let warnings: Vec<String> = mapping.warnings().iter().map(ToString::to_string).collect();
            assert_eq!(warnings.join("; "), warning, "{text}");
        }
    }

    #[test]
    fn a_type_that_the_site_declares_has_templates() {
        let mut types = DeviceTypes::default();
        let rule = TypeRule {
            device_type: "SPINE".parse().unwrap(),
            directory: None,
            global: true,
            fabric: false,
        };
        types.declare(rule).unwrap();
        let mapping = Mapping::read(b"m", b"SPINE: {entrypoint: spine.j2}\nLEAF: {}", &types).unwrap();
        let found: Vec<&str> = mapping.types().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!((found, mapping.warnings().len()), (vec!["SPINE"], 1));
    }

    #[test]
    fn a_problem_has_a_place() {
        let table = [
            ("", "1:1: must be a map of device types, is nothing"),
            ("- ACCESS", "1:1: must be a map of device types, is a list"),
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
            let problems = Mapping::read(b"m", text.as_bytes(), &DeviceTypes::default()).unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            let problem = problems[0].to_string();
            assert!(problem.starts_with(&format!("m:{expected}")), "{text}: {problem}");
        }
    }
}
