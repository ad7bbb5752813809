use lockstep_protocol::GroupName;

use super::nearest;
use crate::fleet::{GroupRule, Groups};
use crate::intent::IntentProblem;
use crate::intent::yaml::{self, Node, Place, Value};

/// The keys of a group. The last one is of CNaaS 1.7: a branch of the templates for the devices of the group. It is left aside:
/// Lockstep follows one branch.
const KEYS: [&str; 4] = ["name", "regex", "group_priority", "templates_branch"];

/// Reads `groups.yml`. `path` is named in what is wrong.
///
/// # Errors
/// All that is wrong, with line and column.
pub fn read(path: &[u8], bytes: &[u8]) -> Result<Groups, Vec<IntentProblem>> {
    let root = yaml::load(path, bytes).map_err(|problem| vec![problem])?;
    let mut reader = Reader {
        path,
        problems: Vec::new(),
    };
    let mut places = Vec::new();
    let mut rules = Vec::new();
    for item in reader.items(&root) {
        if let Some((rule, place)) = reader.group(item) {
            rules.push(rule);
            places.push(place);
        }
    }
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    Groups::new(rules).map_err(|errors| {
        let problem = |error: crate::fleet::GroupError| {
            IntentProblem::at(path, places[error.index()], error.to_string())
        };
        errors.into_iter().map(problem).collect()
    })
}

struct Reader<'a> {
    path: &'a [u8],
    problems: Vec<IntentProblem>,
}

impl Reader<'_> {
    fn complain(&mut self, place: Place, reason: impl Into<String>) {
        self.problems.push(IntentProblem::at(self.path, place, reason));
    }

    /// The entries of the list `groups`. An empty file, or no list at all, means that there are none.
    fn items<'n>(&mut self, root: &'n Node) -> &'n [std::rc::Rc<Node>] {
        let Some(pairs) = root.as_map() else {
            if root.value != Value::Null {
                self.complain(
                    root.place,
                    format!("must be a map with the key groups, is {}", root.kind()),
                );
            }
            return &[];
        };
        for pair in pairs.iter().filter(|pair| pair.key != "groups") {
            self.complain(
                pair.key_place,
                format!("unknown key {}; groups.yml has the key groups", pair.key),
            );
        }
        match root.get("groups") {
            None => &[],
            Some(node) => match &node.value {
                Value::List(items) => items,
                Value::Null => &[],
                _ => {
                    self.complain(node.place, format!("groups must be a list, is {}", node.kind()));
                    &[]
                }
            },
        }
    }

    /// `group: {name: …, regex: …, group_priority: …}`, and where its name is.
    fn group(&mut self, item: &Node) -> Option<(GroupRule, Place)> {
        let Some(group) = item.get("group") else {
            self.complain(item.place, "must be `group:` with name and regex below it");
            return None;
        };
        if let Some(other) = item
            .as_map()
            .and_then(|pairs| pairs.iter().find(|pair| pair.key != "group"))
        {
            self.complain(other.key_place, format!("unknown key {} beside group", other.key));
        }
        let Some(pairs) = group.as_map() else {
            self.complain(
                group.place,
                format!("must be a map with name and regex, is {}", group.kind()),
            );
            return None;
        };
        for pair in pairs.iter().filter(|pair| !KEYS.contains(&pair.key.as_str())) {
            let known = nearest(&pair.key, KEYS.into_iter());
            let advice = known.map_or_else(
                || format!("a group has {}", KEYS.join(", ")),
                |known| format!("did you mean {known}?"),
            );
            self.complain(pair.key_place, format!("unknown key {}; {advice}", pair.key));
        }
        let (name, place) = self.name(group)?;
        let regex = self.regex(group)?;
        let priority = self.priority(group)?;
        Some((
            GroupRule {
                name,
                regex,
                priority,
            },
            place,
        ))
    }

    /// Without one, everybody is a member.
    fn regex(&mut self, group: &Node) -> Option<String> {
        let Some(node) = group.get("regex") else {
            return Some(String::new());
        };
        let text = node.as_text().map(str::to_owned);
        if text.is_none() {
            self.complain(node.place, format!("regex must be text, is {}", node.kind()));
        }
        text
    }

    fn name(&mut self, group: &Node) -> Option<(GroupName, Place)> {
        let Some(node) = group.get("name") else {
            self.complain(group.place, "name is missing");
            return None;
        };
        let Some(text) = node.as_text() else {
            self.complain(
                node.place,
                format!("name must be text, is {}; put it in quotes", node.kind()),
            );
            return None;
        };
        // A folder below groups/ has this name.
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.is_empty() || !text.chars().all(fits) {
            self.complain(
                node.place,
                format!("{text:?} is no name of a group: letters, digits, `_`, `-` and dots"),
            );
            return None;
        }
        match GroupName::try_from(text.to_owned()) {
            Ok(name) => Some((name, node.place)),
            Err(error) => {
                self.complain(node.place, error.to_string());
                None
            }
        }
    }

    fn priority(&mut self, group: &Node) -> Option<u8> {
        let Some(node) = group.get("group_priority") else {
            return Some(0);
        };
        match &node.value {
            Value::Integer(number) => {
                if let Some(priority) = u8::try_from(*number).ok().filter(|number| *number <= 100) {
                    return Some(priority);
                }
                self.complain(
                    node.place,
                    format!("group_priority is {number}, must be 0 to 100"),
                );
            }
            _ => self.complain(
                node.place,
                format!(
                    "group_priority must be a number from 0 to 100, is {}",
                    node.kind()
                ),
            ),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_cnaas_documents_them() {
        let text = "---\ngroups:\n  - group:\n      name: 'ALL'\n      regex: '.*'\n  - group:\n      name: 'E1'\n      regex: 'eosdist1$'\n      group_priority: 100\n";
        let groups = read(b"global/groups.yml", text.as_bytes()).unwrap();
        let primary = |name: &str| groups.primary(&name.parse().unwrap()).unwrap().to_string();
        assert_eq!(primary("eosdist1"), "E1");
        assert_eq!(primary("eosdist2"), "DEFAULT");
        for nothing in ["", "---\n", "groups:\n", "groups: []\n", "{}"] {
            assert!(read(b"g", nothing.as_bytes()).is_ok(), "{nothing:?}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        let table = [
            ("- a", "1:1: must be a map with the key groups, is a list"),
            (
                "group: []",
                "1:1: unknown key group; groups.yml has the key groups",
            ),
            ("groups: 5", "1:9: groups must be a list, is a number"),
            ("groups:\n- name: A", "2:3: must be `group:`"),
            (
                "groups:\n- group: {name: A}\n  x: 1",
                "3:3: unknown key x beside group",
            ),
            (
                "groups:\n- group: A",
                "2:10: must be a map with name and regex, is text",
            ),
            ("groups:\n- group: {regex: a}", "2:10: name is missing"),
            (
                "groups:\n- group: {name: 5}",
                "2:17: name must be text, is a number",
            ),
            (
                "groups:\n- group: {name: 'a b'}",
                "2:17: \"a b\" is no name of a group",
            ),
            (
                "groups:\n- group: {name: A, regexp: a}",
                "2:20: unknown key regexp; did you mean regex?",
            ),
            (
                "groups:\n- group: {name: A, platform: eos}",
                "2:20: unknown key platform; a group has name",
            ),
            (
                "groups:\n- group: {name: A, regex: [a]}",
                "2:27: regex must be text, is a list",
            ),
            (
                "groups:\n- group: {name: A, regex: '('}",
                "2:17: the regex of group A cannot be read",
            ),
            (
                "groups:\n- group: {name: A, group_priority: 101}",
                "2:36: group_priority is 101",
            ),
            (
                "groups:\n- group: {name: A, group_priority: high}",
                "2:36: group_priority must be a number",
            ),
            (
                "groups:\n- group: {name: A, group_priority: 1}",
                "2:17: group A has priority 1",
            ),
            (
                "groups:\n- group: {name: A}\n- group: {name: A}",
                "3:17: group A is there twice",
            ),
        ];
        for (text, expected) in table {
            let problems = read(b"g", text.as_bytes()).unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            let problem = problems[0].to_string();
            assert!(problem.starts_with(&format!("g:{expected}")), "{text}: {problem}");
        }
    }
}
