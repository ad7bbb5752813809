use std::collections::BTreeSet;

use fancy_regex::{Regex, RegexBuilder};
use lockstep_protocol::{GroupName, Hostname};

/// The group that every device is in, and that is primary where no other is.
pub const DEFAULT_GROUP: &str = "DEFAULT";

/// Its priority, where `groups.yml` says nothing else. No other group may have it.
const DEFAULT_PRIORITY: u8 = 1;

/// How many steps one regex may take on one hostname. Python knows no such bound: it hangs.
const MOST_STEPS: usize = 100_000;

/// A group as `groups.yml` defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// Its name.
    pub name: GroupName,
    /// Who is in it.
    pub members: Members,
    /// The highest makes it primary; 0 never does.
    pub priority: u8,
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// Devices whose hostname this matches from its start, as Python's `re.match`.
    Matching(String),
    /// These devices.
    Listed(BTreeSet<Hostname>),
}

/// The groups of a settings tree, and which of them is a device's primary one (`reference/cnaas.md` §2d).
#[derive(Clone, Debug)]
pub struct Groups {
    /// In the order of the file.
    rules: Vec<Rule>,
    /// Indices of those that may be primary, the highest priority first, else in the order of the file.
    eligible: Vec<usize>,
    /// What is primary where none of them matches.
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

/// Why groups make no sense together. Each names the group by its index.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// Not a regular expression as Python has them.
    #[error("the regex of group {name} cannot be read: {source}")]
    Regex {
        /// Which of the rules.
        index: usize,
        /// Its name.
        name: GroupName,
        /// Why.
        source: Box<fancy_regex::Error>,
    },
    /// Two groups have one name.
    #[error("group {name} is there twice")]
    Twice {
        /// Which of the rules, the second one.
        index: usize,
        /// Its name.
        name: GroupName,
    },
    /// Only the group DEFAULT may have priority 1.
    #[error("group {name} has priority 1, which is reserved for the group DEFAULT; choose 0 or 2 to 100")]
    ReservedPriority {
        /// Which of the rules.
        index: usize,
        /// Its name.
        name: GroupName,
    },
}

impl GroupError {
    /// Which of the rules is wrong.
    pub fn index(&self) -> usize {
        match self {
            Self::Regex { index, .. } | Self::Twice { index, .. } | Self::ReservedPriority { index, .. } => {
                *index
            }
        }
    }
}

/// A regex takes too long on a hostname, so nobody knows whether it matches.
#[derive(Debug, thiserror::Error)]
#[error("the regex of group {group} takes too many steps on {hostname}; write it without nested repetitions")]
pub struct MatchError {
    /// Whose regex.
    pub group: GroupName,
    /// On which name.
    pub hostname: Hostname,
    /// What the regex engine says.
    pub source: Box<fancy_regex::Error>,
}

impl Default for Groups {
    /// DEFAULT alone.
    fn default() -> Self {
        Self::from_rules(Vec::new())
    }
}

impl Groups {
    /// Groups by these rules, and DEFAULT with them.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn new(rules: Vec<GroupRule>) -> Result<Self, Vec<GroupError>> {
        let mut errors = Vec::new();
        let mut read: Vec<Rule> = Vec::with_capacity(rules.len());
        for (index, rule) in rules.into_iter().enumerate() {
            let GroupRule {
                name,
                members,
                priority,
            } = rule;
            if read.iter().any(|rule| rule.name == name) {
                errors.push(GroupError::Twice { index, name });
                continue;
            }
            if priority == DEFAULT_PRIORITY && name.as_str() != DEFAULT_GROUP {
                errors.push(GroupError::ReservedPriority { index, name });
                continue;
            }
            match Matcher::of(members) {
                Ok(members) => read.push(Rule {
                    name,
                    members,
                    priority,
                }),
                Err(source) => errors.push(GroupError::Regex { index, name, source }),
            }
        }
        if errors.is_empty() {
            Ok(Self::from_rules(read))
        } else {
            Err(errors)
        }
    }

    fn from_rules(rules: Vec<Rule>) -> Self {
        let mut eligible: Vec<usize> = (0..rules.len())
            .filter(|index| rules[*index].priority > 0)
            .collect();
        // Stable: where priorities are equal, the first in the file wins, as in CNaaS.
        eligible.sort_by_key(|index| std::cmp::Reverse(rules[*index].priority));
        let fallback = GroupName::try_from(DEFAULT_GROUP.to_owned()).expect("a fixed word is a name");
        Self {
            rules,
            eligible,
            fallback,
        }
    }

    /// Whether there is a group of this name.
    pub fn contains(&self, name: &GroupName) -> bool {
        *name == self.fallback || self.rules.iter().any(|rule| rule.name == *name)
    }

    /// The primary group of a device: of those whose regex matches its hostname from the start, the one of the highest
    /// priority; else DEFAULT.
    ///
    /// # Errors
    /// A regex took too long, so that nobody knows.
    pub fn primary(&self, hostname: &Hostname) -> Result<&GroupName, MatchError> {
        for rule in self.eligible.iter().map(|index| &self.rules[*index]) {
            if rule.matches(hostname)? {
                return Ok(&rule.name);
            }
        }
        Ok(&self.fallback)
    }

    /// The groups a device is in, primary or not, in the order of the file; DEFAULT last.
    ///
    /// # Errors
    /// A regex took too long, so that nobody knows.
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
            // The first match is the leftmost one, so one at the start is it.
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
            // From the start, not up to the end.
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
    fn an_empty_regex_matches_everybody() {
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
    fn default_may_be_defined_and_is_there_anyway() {
        let rules = [rule("DEFAULT", "sw", 90), rule("SW1", "sw1", 80)];
        assert_eq!(primary(&rules, "sw1"), "DEFAULT");
        assert_eq!(primary(&rules, "core1"), "DEFAULT");
        let groups = Groups::default();
        assert!(groups.contains(&"DEFAULT".to_owned().try_into().unwrap()));
        assert!(!groups.contains(&"ALL".to_owned().try_into().unwrap()));
    }

    #[test]
    fn membership_does_not_ask_for_a_priority() {
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
    fn all_that_is_wrong_is_said_with_its_index() {
        let rules = vec![
            rule("A", "(", 0),
            rule("B", "b", 1),
            rule("C", "c", 2),
            rule("C", "d", 3),
        ];
        let errors = Groups::new(rules).unwrap_err();
        let said: Vec<_> = errors
            .iter()
            .map(|error| (error.index(), error.to_string()))
            .collect();
        assert_eq!(said.len(), 3);
        assert!(
            said[0].0 == 0 && said[0].1.contains("regex of group A"),
            "{said:?}"
        );
        assert!(said[1].0 == 1 && said[1].1.contains("reserved"), "{said:?}");
        assert!(said[2].0 == 3 && said[2].1.contains("twice"), "{said:?}");
    }

    #[test]
    fn a_regex_that_takes_too_long_is_an_error_and_no_answer() {
        // A back-reference needs backtracking.
        let groups = Groups::new(vec![rule("SLOW", "(?:(a|aa)+)+\\1-b$", 9)]).unwrap();
        let hostname: Hostname = format!("{}-c", "a".repeat(50)).parse().unwrap();
        let error = groups.primary(&hostname).unwrap_err();
        assert!(error.to_string().contains("group SLOW takes too many steps"));
    }
}
