use std::collections::BTreeSet;

use lockstep_protocol::{GroupName, Hostname};

use super::nearest;
use crate::bounds::MOST_GROUPS;
use crate::fleet::{GroupRule, Groups, Members};
use crate::place::Place;
use crate::problem::FileProblems;
use crate::yaml::{self, Node, Value};
use crate::{Cancellation, IntentProblem};

/// The keys of a group below `group:`, in all releases of CNaaS NMS. `templates_branch` has no effect: Lockstep follows one branch.
const OLDER_KEYS: [&str; 4] = ["name", "regex", "group_priority", "templates_branch"];
/// The keys of a group without `group:`, since CNaaS NMS 1.8.
const NEWER_KEYS: [&str; 5] = [
    "name",
    "device_filter",
    "devices",
    "group_priority",
    "templates_branch",
];

/// Reads `groups.yml`. Problems name `path`.
///
/// # Errors
/// All problems, with line and column. If the caller cancels, the groups are incomplete.
pub fn read(
    path: &[u8],
    bytes: &[u8],
    cancellation: &Cancellation<'_>,
) -> Result<Groups, Vec<IntentProblem>> {
    let root = yaml::load(path, bytes).map_err(|problem| vec![problem])?;
    let mut reader = Reader {
        problems: FileProblems::of(path),
    };
    let mut places = Vec::new();
    let mut rules = Vec::new();
    for item in reader.items(&root) {
        if reader.problems.are_full() {
            break;
        }
        if let Some((rule, place)) = reader.group(item) {
            rules.push(rule);
            places.push(place);
        }
    }
    let mut problems = reader.problems;
    if !problems.are_none() {
        return Err(problems.into_vec());
    }
    Groups::new(rules, cancellation).map_err(|errors| {
        for error in errors {
            problems.add(places[error.index()], error.to_string());
        }
        problems.into_vec()
    })
}

struct Reader<'a> {
    problems: FileProblems<'a>,
}

impl Reader<'_> {
    fn report(&mut self, place: Place, reason: impl Into<String>) {
        self.problems.add(place, reason);
    }

    /// The entries of the list `groups`. A file without the list has none.
    fn items<'n>(&mut self, root: &'n Node) -> &'n [std::rc::Rc<Node>] {
        let Some(pairs) = root.as_map() else {
            if root.value != Value::Null {
                self.report(
                    root.place,
                    format!("must be a map with the key groups, is {}", root.kind()),
                );
            }
            return &[];
        };
        for pair in pairs.iter().filter(|pair| *pair.key != *"groups") {
            self.report(
                pair.key_place,
                format!("unknown key {}; the only key of groups.yml is groups", pair.key),
            );
        }
        match root.get("groups") {
            None => &[],
            Some(node) => match &node.value {
                Value::List(items) if items.len() > MOST_GROUPS => {
                    let reason = format!(
                        "there are {} groups, more than the limit of {MOST_GROUPS}; merge or remove some",
                        items.len()
                    );
                    self.report(node.place, reason);
                    &[]
                }
                Value::List(items) => items,
                Value::Null => &[],
                _ => {
                    self.report(node.place, format!("groups must be a list, is {}", node.kind()));
                    &[]
                }
            },
        }
    }

    /// Reads `group: {name: …, regex: …, group_priority: …}` or `{name: …, device_filter: {hostname: …}, …}`. Returns the group and the
    /// place of its name.
    fn group(&mut self, item: &Node) -> Option<(GroupRule, Place)> {
        let Some(older) = item.get("group") else {
            if item.get("name").is_none() {
                self.report(item.place, "must be `group:` with name and regex below it");
                return None;
            }
            self.unknown_keys(item, &NEWER_KEYS);
            let (name, place) = self.name(item)?;
            let members = self.members(item)?;
            let priority = self.priority(item)?;
            return Some((
                GroupRule {
                    name,
                    members,
                    priority,
                },
                place,
            ));
        };
        if let Some(other) = item
            .as_map()
            .and_then(|pairs| pairs.iter().find(|pair| *pair.key != *"group"))
        {
            self.report(other.key_place, format!("unknown key {} beside group", other.key));
        }
        if older.as_map().is_none() {
            self.report(
                older.place,
                format!("must be a map with name and regex, is {}", older.kind()),
            );
            return None;
        }
        self.unknown_keys(older, &OLDER_KEYS);
        let (name, place) = self.name(older)?;
        // Without a regex every device is a member, because an empty regex matches everything.
        let members = Members::Matching(self.regex(older, "regex")?.unwrap_or_default());
        let priority = self.priority(older)?;
        Some((
            GroupRule {
                name,
                members,
                priority,
            },
            place,
        ))
    }

    fn unknown_keys(&mut self, node: &Node, keys: &[&'static str]) {
        for pair in node.as_map().unwrap_or_default() {
            if self.problems.are_full() {
                return;
            }
            if keys.contains(&&*pair.key) {
                continue;
            }
            let advice = nearest(&pair.key, keys.iter().copied()).map_or_else(
                || format!("expected one of {}", keys.join(", ")),
                |known| format!("did you mean {known}?"),
            );
            self.report(pair.key_place, format!("unknown key {}; {advice}", pair.key));
        }
    }

    /// Without filter and list the group is empty.
    fn members(&mut self, group: &Node) -> Option<Members> {
        // A key without a value is as good as none.
        let get = |key| group.get(key).filter(|node| node.value != Value::Null);
        match (get("device_filter"), get("devices")) {
            (Some(_), Some(devices)) => {
                self.report(devices.place, "a group has device_filter or devices, not both");
                None
            }
            (Some(filter), None) => self.filter(filter),
            (None, Some(devices)) => self.devices(devices).map(Members::Listed),
            (None, None) => Some(Members::Listed(BTreeSet::new())),
        }
    }

    fn filter(&mut self, filter: &Node) -> Option<Members> {
        let Some(pairs) = filter.as_map() else {
            self.report(
                filter.place,
                format!("device_filter must be a map, is {}", filter.kind()),
            );
            return None;
        };
        if let Some(other) = pairs.iter().find(|pair| *pair.key != *"hostname") {
            let reason = format!(
                "cannot filter by {}, only by hostname; list the devices instead",
                other.key
            );
            self.report(other.key_place, reason);
            return None;
        }
        let regex = self.regex(filter, "hostname")?;
        let empty = Members::Listed(BTreeSet::new());
        Some(
            regex
                .filter(|regex| !regex.is_empty())
                .map_or(empty, Members::Matching),
        )
    }

    fn devices(&mut self, devices: &Node) -> Option<BTreeSet<Hostname>> {
        let Some(items) = devices.as_list() else {
            self.report(
                devices.place,
                format!("devices must be a list of hostnames, is {}", devices.kind()),
            );
            return None;
        };
        let mut hostnames = BTreeSet::new();
        for item in items {
            if self.problems.are_full() {
                return None;
            }
            match item.as_text().map(str::parse::<Hostname>) {
                Some(Ok(hostname)) => drop(hostnames.insert(hostname)),
                Some(Err(error)) => self.report(item.place, error.to_string()),
                None => self.report(item.place, format!("must be a hostname, is {}", item.kind())),
            }
        }
        Some(hostnames)
    }

    /// The regex of a key: `Some(None)` if the key is absent, `None` if its value is not text.
    #[expect(
        clippy::option_option,
        reason = "an invalid value, which was reported, is not the same as an absent one"
    )]
    fn regex(&mut self, node: &Node, key: &str) -> Option<Option<String>> {
        let Some(value) = node.get(key) else {
            return Some(None);
        };
        let text = value.as_text().map(str::to_owned);
        if text.is_none() {
            self.report(value.place, format!("{key} must be text, is {}", value.kind()));
        }
        text.map(Some)
    }

    fn name(&mut self, group: &Node) -> Option<(GroupName, Place)> {
        let Some(node) = group.get("name") else {
            self.report(group.place, "name is missing");
            return None;
        };
        let Some(text) = node.as_text() else {
            self.report(
                node.place,
                format!("name must be text, is {}; put it in quotes", node.kind()),
            );
            return None;
        };
        // The group's folder below `groups/` has this name.
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.is_empty() || !text.chars().all(allowed) {
            self.report(
                node.place,
                format!("{text:?} is not a valid group name; use letters, digits, `_`, `-` and dots"),
            );
            return None;
        }
        match GroupName::try_from(text.to_owned()) {
            Ok(name) => Some((name, node.place)),
            Err(error) => {
                self.report(node.place, error.to_string());
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
                self.report(
                    node.place,
                    format!("group_priority is {number}, must be 0 to 100"),
                );
            }
            _ => self.report(
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

    fn read_whole(path: &[u8], bytes: &[u8]) -> Result<Groups, Vec<IntentProblem>> {
        read(path, bytes, &Cancellation::never())
    }

    #[test]
    fn groups_are_read_as_cnaas_documents_them() {
        let text = "---\ngroups:\n  - group:\n      name: 'ALL'\n      regex: '.*'\n  - group:\n      name: 'E1'\n      regex: 'eosdist1$'\n      group_priority: 100\n";
        let groups = read_whole(b"global/groups.yml", text.as_bytes()).unwrap();
        let primary = |name: &str| groups.primary(&name.parse().unwrap()).unwrap().to_string();
        assert_eq!(primary("eosdist1"), "E1");
        assert_eq!(primary("eosdist2"), "DEFAULT");
        let text = "groups:\n- {name: N, device_filter: {hostname: 'sw[12]'}, group_priority: 9}\n\
                    - {name: L, devices: [sw1, x1], group_priority: 10}\n- {name: E, group_priority: 90}\n\
                    - {name: F, device_filter: {}, group_priority: 91}\n\
                    - {name: G, device_filter: , devices: , group_priority: 92}\n";
        let groups = read_whole(b"global/groups.yml", text.as_bytes()).unwrap();
        let primary = |name: &str| groups.primary(&name.parse().unwrap()).unwrap().to_string();
        assert_eq!(
            [primary("sw1"), primary("sw2"), primary("x12")],
            ["L", "N", "DEFAULT"]
        );
        for empty in ["", "---\n", "groups:\n", "groups: []\n", "{}"] {
            assert!(read_whole(b"g", empty.as_bytes()).is_ok(), "{empty:?}");
        }
    }

    #[test]
    fn a_problem_has_a_place() {
        let table = [
            ("- a", "1:1: must be a map with the key groups, is a list"),
            (
                "group: []",
                "1:1: unknown key group; the only key of groups.yml is groups",
            ),
            ("groups: 5", "1:9: groups must be a list, is a number"),
            (
                "groups:\n- {name: A, regex: a}",
                "2:13: unknown key regex; expected one of name, device_filter",
            ),
            (
                "groups:\n- {name: A, device_filter: a}",
                "2:28: device_filter must be a map, is text",
            ),
            (
                "groups:\n- {name: A, device_filter: {model: a}}",
                "2:29: cannot filter by model, only by hostname",
            ),
            (
                "groups:\n- {name: A, device_filter: {hostname: a}, devices: [b]}",
                "2:52: a group has device_filter or devices",
            ),
            (
                "groups:\n- {name: A, devices: b}",
                "2:22: devices must be a list of hostnames, is text",
            ),
            (
                "groups:\n- {name: A, devices: [a_b]}",
                "2:23: \"a_b\" is not a hostname",
            ),
            (
                "groups:\n- {name: A, devices: [[a]]}",
                "2:23: must be a hostname, is a list",
            ),
            ("groups:\n- A", "2:3: must be `group:`"),
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
                "2:17: \"a b\" is not a valid group name",
            ),
            (
                "groups:\n- group: {name: A, regexp: a}",
                "2:20: unknown key regexp; did you mean regex?",
            ),
            (
                "groups:\n- group: {name: A, platform: eos}",
                "2:20: unknown key platform; expected one of name",
            ),
            (
                "groups:\n- group: {name: A, regex: [a]}",
                "2:27: regex must be text, is a list",
            ),
            (
                "groups:\n- group: {name: A, regex: '('}",
                "2:17: the regex of group A is invalid",
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
                "3:17: group A is defined twice",
            ),
        ];
        for (text, expected) in table {
            let problems = read_whole(b"g", text.as_bytes()).unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            let problem = problems[0].to_string();
            assert!(problem.starts_with(&format!("g:{expected}")), "{text}: {problem}");
        }
    }
}
