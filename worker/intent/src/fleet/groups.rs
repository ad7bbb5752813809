use std::collections::{BTreeSet, HashSet};

use lockstep_protocol::{GroupName, Hostname};

use super::group_error::GroupError;
use super::pattern::{Pattern, TooManySteps};
use crate::Cancellation;
use crate::bounds::{MOST_PROBLEMS_OF_FILE, MOST_STEPS_OF_MATCHING};

/// The group that contains every device, and that is primary where no other group is.
pub const DEFAULT_GROUP: &str = "DEFAULT";

/// The priority that is reserved for it.
const DEFAULT_PRIORITY: u8 = 1;

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

/// The groups of a settings tree. Finds the primary group of a device; `docs/reference/sync-rules.md` has the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// All that are defined, in the order of the file.
    rules: Vec<Rule>,
    /// The places of those that may be primary: by falling priority, then in the order of the file.
    eligible: Vec<usize>,
    /// All of them.
    names: HashSet<GroupName>,
    /// The primary group of a device that no group matches.
    fallback: GroupName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    name: GroupName,
    members: Matching,
    priority: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Matching {
    Pattern(Pattern),
    Listed(BTreeSet<Hostname>),
}

/// Tells whether a hostname is a member, and takes what that costs from the steps.
type Matcher<'a> = Box<dyn FnMut(&Hostname, &mut u64) -> Result<bool, TooManySteps> + 'a>;

impl Matching {
    fn matcher(&self) -> Matcher<'_> {
        match self {
            Self::Pattern(pattern) => {
                let mut matcher = pattern.matcher();
                Box::new(move |hostname, steps| matcher.matches(hostname, steps))
            }
            Self::Listed(hostnames) => Box::new(|hostname, _| Ok(hostnames.contains(hostname))),
        }
    }
}

/// A regex takes too many steps on a hostname, by itself or together with the matches before, so it is unknown whether it matches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the regex of group {group} takes too many steps; write it without back-references, look-around and nested repetitions"
)]
pub struct MatchError {
    /// The group of the regex.
    pub group: GroupName,
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
    /// The problems of the definitions, up to a limit. If the caller cancels, the groups are incomplete.
    pub fn new(rules: Vec<GroupRule>, cancellation: &Cancellation<'_>) -> Result<Self, Vec<GroupError>> {
        let mut errors = Vec::new();
        let mut valid: Vec<Rule> = Vec::with_capacity(rules.len());
        let mut names = HashSet::with_capacity(rules.len());
        for (index, rule) in rules.into_iter().enumerate() {
            if cancellation.is_cancelled() || errors.len() >= MOST_PROBLEMS_OF_FILE {
                break;
            }
            let GroupRule {
                name,
                members,
                priority,
            } = rule;
            if !names.insert(name.clone()) {
                errors.push(GroupError::Duplicate { index, name });
                continue;
            }
            if priority == DEFAULT_PRIORITY && name.as_str() != DEFAULT_GROUP {
                errors.push(GroupError::ReservedPriority { index, name });
                continue;
            }
            let members = match members {
                Members::Listed(hostnames) => Matching::Listed(hostnames),
                Members::Matching(regex) => match Pattern::new(regex) {
                    Ok(pattern) => Matching::Pattern(pattern),
                    Err(error) => {
                        errors.push(GroupError::of_regex(index, name, error));
                        continue;
                    }
                },
            };
            valid.push(Rule {
                name,
                members,
                priority,
            });
        }
        if errors.is_empty() {
            Ok(Self::from_rules(valid))
        } else {
            Err(errors)
        }
    }

    fn from_rules(rules: Vec<Rule>) -> Self {
        let fallback = GroupName::try_from(DEFAULT_GROUP.to_owned()).expect("DEFAULT is a valid name");
        let mut names: HashSet<GroupName> = rules.iter().map(|rule| rule.name.clone()).collect();
        names.insert(fallback.clone());
        let mut eligible: Vec<usize> = (0..rules.len())
            .filter(|place| rules[*place].priority > 0)
            .collect();
        // The sort is stable: of equal priorities, the first in the file wins, as in CNaaS NMS.
        eligible.sort_by_key(|place| std::cmp::Reverse(rules[*place].priority));
        Self {
            rules,
            eligible,
            names,
            fallback,
        }
    }

    /// Whether a group of this name exists.
    pub fn contains(&self, name: &GroupName) -> bool {
        self.names.contains(name)
    }

    /// The primary groups of devices, in their order: the group with the highest priority that has the device as a member, else
    /// DEFAULT. Where a regex takes too many steps, by itself or together with all before, the answer is an error. If the caller
    /// cancels, the answers are incomplete.
    pub fn primaries(
        &self,
        hostnames: &[&Hostname],
        cancellation: &Cancellation<'_>,
    ) -> Vec<Result<&GroupName, MatchError>> {
        self.primaries_within(MOST_STEPS_OF_MATCHING, hostnames, cancellation)
    }

    pub(crate) fn primaries_within(
        &self,
        mut steps: u64,
        hostnames: &[&Hostname],
        cancellation: &Cancellation<'_>,
    ) -> Vec<Result<&GroupName, MatchError>> {
        let mut answers: Vec<Option<Result<&GroupName, MatchError>>> = vec![None; hostnames.len()];
        let mut open: Vec<usize> = (0..hostnames.len()).collect();
        // Group by group, so that one regex at a time is compiled.
        for rule in self.eligible.iter().map(|place| &self.rules[*place]) {
            let mut matcher = rule.members.matcher();
            open.retain(|index| {
                if cancellation.is_cancelled() {
                    return false;
                }
                answers[*index] = match matcher(hostnames[*index], &mut steps) {
                    Ok(false) => return true,
                    Ok(true) => Some(Ok(&rule.name)),
                    Err(_) => Some(Err(MatchError {
                        group: rule.name.clone(),
                    })),
                };
                false
            });
        }
        let answers = answers.into_iter();
        answers
            .map(|answer| answer.unwrap_or(Ok(&self.fallback)))
            .collect()
    }

    /// The groups that are defined, in the order of the file.
    pub fn rules(&self) -> impl Iterator<Item = GroupRule> + '_ {
        self.rules.iter().map(|rule| GroupRule {
            name: rule.name.clone(),
            members: match &rule.members {
                Matching::Pattern(pattern) => Members::Matching(pattern.as_str().to_owned()),
                Matching::Listed(hostnames) => Members::Listed(hostnames.clone()),
            },
            priority: rule.priority,
        })
    }

    /// For each of the [rules](Self::rules), the places of its members among these devices, ascending. Every device is a member of
    /// DEFAULT. Where a regex takes too many steps, by itself or together with all before, the device is no member. If the caller
    /// cancels, the answers are incomplete.
    pub fn members(&self, hostnames: &[&Hostname], cancellation: &Cancellation<'_>) -> Vec<Vec<u32>> {
        self.members_within(MOST_STEPS_OF_MATCHING, hostnames, cancellation)
    }

    fn members_within(
        &self,
        mut steps: u64,
        hostnames: &[&Hostname],
        cancellation: &Cancellation<'_>,
    ) -> Vec<Vec<u32>> {
        let places = || (0_u32..).zip(hostnames);
        let members = self.rules.iter().map(|rule| {
            if rule.name == self.fallback {
                return places().map(|(place, _)| place).collect();
            }
            let mut matcher = rule.members.matcher();
            let matching = places()
                .take_while(|_| !cancellation.is_cancelled())
                .filter(|(_, hostname)| matcher(hostname, &mut steps).unwrap_or(false));
            matching.map(|(place, _)| place).collect()
        });
        members.collect()
    }

    /// The primary group of one device; see [`primaries`](Self::primaries).
    ///
    /// # Errors
    /// If a regex takes too many steps, so that the answer is unknown.
    pub fn primary(&self, hostname: &Hostname) -> Result<&GroupName, MatchError> {
        let answers = self.primaries(&[hostname], &Cancellation::never());
        answers.into_iter().next().unwrap_or(Ok(&self.fallback))
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
        let groups = Groups::new(rules.to_vec(), &Cancellation::never()).unwrap();
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
    fn a_device_is_a_member_of_every_group_that_matches_it() {
        let listed = GroupRule {
            name: "LISTED".to_owned().try_into().unwrap(),
            members: Members::Listed(["sw2".parse().unwrap()].into()),
            priority: 0,
        };
        let rules = vec![
            rule("ALL", "", 0),
            rule("DEFAULT", "none", 1),
            rule("ONE", "sw1", 5),
            rule("SLOW", "(?:(a|aa)+)+\\1-b$", 9),
            listed,
        ];
        let groups = Groups::new(rules.clone(), &Cancellation::never()).unwrap();
        assert_eq!(groups.rules().collect::<Vec<_>>(), rules);
        let slow = format!("{}-c", "a".repeat(50));
        let hostnames: Vec<Hostname> = ["sw1", "sw2", &slow].map(|name| name.parse().unwrap()).into();
        let hostnames: Vec<&Hostname> = hostnames.iter().collect();
        let members = groups.members(&hostnames, &Cancellation::never());
        assert_eq!(members, [vec![0, 1, 2], vec![0, 1, 2], vec![0], vec![], vec![1]]);
        let few = groups.members_within(2, &hostnames, &Cancellation::never());
        assert_eq!(few[0], [0, 1], "then the steps are used up");
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
    fn all_problems_are_reported_with_the_index_of_the_group() {
        let rules = vec![
            rule("A", "(", 0),
            rule("B", "b", 1),
            rule("C", "c", 2),
            rule("C", "d", 3),
        ];
        let errors = Groups::new(rules, &Cancellation::never()).unwrap_err();
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
        let groups = Groups::new(
            vec![rule("SLOW", "(?:(a|aa)+)+\\1-b$", 9)],
            &Cancellation::never(),
        )
        .unwrap();
        let hostname: Hostname = format!("{}-c", "a".repeat(50)).parse().unwrap();
        let error = groups.primary(&hostname).unwrap_err();
        assert!(error.to_string().contains("group SLOW takes too many steps"));
    }
}
