use std::collections::BTreeSet;

use fancy_regex::{Regex, RegexBuilder};
use lockstep_protocol::{GroupName, Hostname};

/// The group that contains every device, and that is primary where no other group is.
pub const DEFAULT_GROUP: &str = "DEFAULT";

/// The priority that is reserved for it.
const DEFAULT_PRIORITY: u8 = 1;

/// The most backtracking steps of one regex on one hostname. Python has no such limit and hangs.
const MOST_STEPS: usize = 100_000;

/// The definition of a group in `groups.yml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// Unique among the groups.
    pub name: GroupName,
    /// The rule for its members.
    pub members: Members,
    /// Among the groups of a device, the one with the highest priority is primary; with priority 0 a group is never primary.
    pub priority: u8,
}

/// The members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// Devices whose hostname matches this regex from its start, as with Python's `re.match`.
    Matching(String),
    /// A list of devices.
    Listed(BTreeSet<Hostname>),
}

/// The groups of a settings tree. Finds the primary group of a device; `docs/sync-rules.md` has the rule.
#[derive(Clone, Debug)]
pub struct Groups {
    /// In the order of the file.
    rules: Vec<Rule>,
    /// Indices of the groups that may be primary: by falling priority, then in the order of the file.
    eligible: Vec<usize>,
    /// The primary group of a device that no group matches.
    fallback: GroupName,
}

#[derive(Clone, Debug)]
struct Rule {
    name: GroupName,
    members: Matcher,
    priority: u8,
}

#[derive(Clone, Debug)]
enum Matcher {
    Matching(Box<Regex>),
    Listed(BTreeSet<Hostname>),
}

/// Why the definitions of groups are invalid. Each error has the index of the definition.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The regex is invalid.
    #[error("the regex of group {name} is invalid: {source}")]
    Regex {
        /// The index of the definition.
        index: usize,
        /// The name of the group.
        name: GroupName,
        /// The error of the regex engine.
        source: Box<fancy_regex::Error>,
    },
    /// Two groups have the same name.
    #[error("group {name} is defined twice; remove one of them")]
    Duplicate {
        /// The index of the second definition.
        index: usize,
        /// The name of the group.
        name: GroupName,
    },
    /// Only the group DEFAULT may have priority 1.
    #[error("group {name} has priority 1, which is reserved for the group DEFAULT; choose 0 or 2 to 100")]
    ReservedPriority {
        /// The index of the definition.
        index: usize,
        /// The name of the group.
        name: GroupName,
    },
}

impl GroupError {
    /// The index of the invalid definition.
    pub fn index(&self) -> usize {
        match self {
            Self::Regex { index, .. }
            | Self::Duplicate { index, .. }
            | Self::ReservedPriority { index, .. } => *index,
        }
    }
}

/// A regex takes too long on a hostname, so it is unknown whether it matches.
#[derive(Debug, thiserror::Error)]
#[error("the regex of group {group} takes too many steps on {hostname}; write it without nested repetitions")]
pub struct MatchError {
    /// The group of the regex.
    pub group: GroupName,
    /// The hostname that takes too long.
    pub hostname: Hostname,
    /// The error of the regex engine.
    pub source: Box<fancy_regex::Error>,
}

impl Default for Groups {
    /// Only the group DEFAULT.
    fn default() -> Self {
        Self::from_rules(Vec::new())
    }
}

impl Groups {
    /// Makes groups of their definitions, and adds DEFAULT.
    ///
    /// # Errors
    /// All problems of the definitions.
    pub fn new(rules: Vec<GroupRule>) -> Result<Self, Vec<GroupError>> {
        let mut errors = Vec::new();
        let mut valid: Vec<Rule> = Vec::with_capacity(rules.len());
        for (index, rule) in rules.into_iter().enumerate() {
            let GroupRule {
                name,
                members,
                priority,
            } = rule;
            if valid.iter().any(|rule| rule.name == name) {
                errors.push(GroupError::Duplicate { index, name });
                continue;
            }
            if priority == DEFAULT_PRIORITY && name.as_str() != DEFAULT_GROUP {
                errors.push(GroupError::ReservedPriority { index, name });
                continue;
            }
            match Matcher::of(members) {
                Ok(members) => valid.push(Rule {
                    name,
                    members,
                    priority,
                }),
                Err(source) => errors.push(GroupError::Regex { index, name, source }),
            }
        }
        if errors.is_empty() {
            Ok(Self::from_rules(valid))
        } else {
            Err(errors)
        }
    }

    fn from_rules(rules: Vec<Rule>) -> Self {
        let mut eligible: Vec<usize> = (0..rules.len())
            .filter(|index| rules[*index].priority > 0)
            .collect();
        // The sort is stable: of equal priorities, the first in the file wins, as in CNaaS NMS.
        eligible.sort_by_key(|index| std::cmp::Reverse(rules[*index].priority));
        let fallback = GroupName::try_from(DEFAULT_GROUP.to_owned()).expect("DEFAULT is a valid name");
        Self {
            rules,
            eligible,
            fallback,
        }
    }

    /// Whether a group of this name exists.
    pub fn contains(&self, name: &GroupName) -> bool {
        *name == self.fallback || self.rules.iter().any(|rule| rule.name == *name)
    }

    /// The primary group of a device: the group with the highest priority that has it as a member, else DEFAULT.
    ///
    /// # Errors
    /// If a regex takes too long, so that the answer is unknown.
    pub fn primary(&self, hostname: &Hostname) -> Result<&GroupName, MatchError> {
        for rule in self.eligible.iter().map(|index| &self.rules[*index]) {
            if rule.matches(hostname)? {
                return Ok(&rule.name);
            }
        }
        Ok(&self.fallback)
    }

    /// All groups of a device, primary or not, in the order of the file. DEFAULT comes last unless the file defines it.
    ///
    /// # Errors
    /// If a regex takes too long, so that the answer is unknown.
    pub fn of(&self, hostname: &Hostname) -> Result<Vec<&GroupName>, MatchError> {
        let mut groups = Vec::new();
        for rule in &self.rules {
            if rule.matches(hostname)? {
                groups.push(&rule.name);
            }
        }
        if !groups.contains(&&self.fallback) {
            groups.push(&self.fallback);
        }
        Ok(groups)
    }
}

impl Rule {
    fn matches(&self, hostname: &Hostname) -> Result<bool, MatchError> {
        let regex = match &self.members {
            Matcher::Listed(hostnames) => return Ok(hostnames.contains(hostname)),
            Matcher::Matching(regex) => regex,
        };
        match regex.find(hostname.as_str()) {
            // The regex engine finds the leftmost match first, so a match at the start would be this one.
            Ok(found) => Ok(found.is_some_and(|found| found.start() == 0)),
            Err(error) => Err(MatchError {
                group: self.name.clone(),
                hostname: hostname.clone(),
                source: Box::new(error),
            }),
        }
    }
}

impl Matcher {
    fn of(members: Members) -> Result<Self, Box<fancy_regex::Error>> {
        match members {
            Members::Listed(hostnames) => Ok(Self::Listed(hostnames)),
            Members::Matching(regex) => {
                let regex = RegexBuilder::new(&regex).backtrack_limit(MOST_STEPS).build();
                regex
                    .map(|regex| Self::Matching(Box::new(regex)))
                    .map_err(Box::new)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, regex: &str, priority: u8) -> GroupRule {
        GroupRule {
            name: name.to_owned().try_into().unwrap(),
            members: Members::Matching(regex.to_owned()),
            priority,
        }
    }

    fn primary(rules: &[GroupRule], hostname: &str) -> String {
        let groups = Groups::new(rules.to_vec()).unwrap();
        groups.primary(&hostname.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_matching_group_of_the_highest_priority_is_primary() {
        let rules = [
            rule("ALL", ".*", 0),
            rule("E1", "eosdist1$", 100),
            rule("E", "eosdist.*", 99),
            rule("TIE_1", "tie", 50),
            rule("TIE_2", "tie", 50),
            rule("CASE", "(?i)UPPER", 40),
            rule("LOOK", "(?!lab-).*-fw[0-9]", 30),
            rule("NAMED", "(?P<site>[a-z]+)-(?P=site)", 20),
        ];
        let table = [
            ("eosdist1", "E1"),
            ("eosdist12", "E"),
            // The match begins at the start and need not reach the end.
            ("eosdist-x.example.org", "E"),
            ("my-eosdist1", "DEFAULT"),
            ("tie", "TIE_1"),
            ("upper9", "CASE"),
            ("site-fw1", "LOOK"),
            ("lab-fw1", "DEFAULT"),
            ("ab-ab1", "NAMED"),
            ("ab-cd", "DEFAULT"),
            ("other", "DEFAULT"),
        ];
        for (hostname, expected) in table {
            assert_eq!(primary(&rules, hostname), expected, "{hostname}");
        }
        assert_eq!(primary(&[], "sw1"), "DEFAULT");
    }

    #[test]
    fn an_empty_regex_matches_every_device() {
        assert_eq!(primary(&[rule("ALL", "", 2)], "sw1"), "ALL");
    }

    #[test]
    fn members_may_be_listed() {
        let listed = GroupRule {
            name: "LISTED".to_owned().try_into().unwrap(),
            members: Members::Listed(["sw1".parse().unwrap()].into()),
            priority: 9,
        };
        assert_eq!(primary(std::slice::from_ref(&listed), "sw1"), "LISTED");
        assert_eq!(primary(&[listed], "sw12"), "DEFAULT");
    }

    #[test]
    fn default_exists_whether_it_is_defined_or_not() {
        let rules = [rule("DEFAULT", "sw", 90), rule("SW1", "sw1", 80)];
        assert_eq!(primary(&rules, "sw1"), "DEFAULT");
        assert_eq!(primary(&rules, "core1"), "DEFAULT");
        let groups = Groups::default();
        assert!(groups.contains(&"DEFAULT".to_owned().try_into().unwrap()));
        assert!(!groups.contains(&"ALL".to_owned().try_into().unwrap()));
    }

    #[test]
    fn membership_does_not_depend_on_the_priority() {
        let groups = Groups::new(vec![rule("ALL", ".*", 0), rule("X", "x", 3)]).unwrap();
        let of = |name: &str| {
            let hostname = name.parse().unwrap();
            let names = groups.of(&hostname).unwrap();
            names.into_iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of("x1"), ["ALL", "X", "DEFAULT"]);
        assert_eq!(of("y1"), ["ALL", "DEFAULT"]);
    }

    #[test]
    fn all_problems_are_reported_with_the_index_of_the_group() {
        let rules = vec![
            rule("A", "(", 0),
            rule("B", "b", 1),
            rule("C", "c", 2),
            rule("C", "d", 3),
        ];
        let errors = Groups::new(rules).unwrap_err();
        let reported: Vec<_> = errors
            .iter()
            .map(|error| (error.index(), error.to_string()))
            .collect();
        assert_eq!(reported.len(), 3);
        assert!(
            reported[0].0 == 0 && reported[0].1.contains("regex of group A"),
            "{reported:?}"
        );
        assert!(
            reported[1].0 == 1 && reported[1].1.contains("reserved"),
            "{reported:?}"
        );
        assert!(
            reported[2].0 == 3 && reported[2].1.contains("twice"),
            "{reported:?}"
        );
    }

    #[test]
    fn a_regex_that_takes_too_long_is_an_error() {
        // A back-reference needs backtracking.
        let groups = Groups::new(vec![rule("SLOW", "(?:(a|aa)+)+\\1-b$", 9)]).unwrap();
        let hostname: Hostname = format!("{}-c", "a".repeat(50)).parse().unwrap();
        let error = groups.primary(&hostname).unwrap_err();
        assert!(error.to_string().contains("group SLOW takes too many steps"));
    }
}
