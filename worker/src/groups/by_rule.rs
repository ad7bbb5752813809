use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lockstep_intent::Cancellation;
use lockstep_intent::fleet::Groups;
use lockstep_protocol::Hostname;
use lockstep_store::{DeviceEffect, GroupMatches, GroupRules, GroupsByRule};

use super::matching::{definitions, match_all};

/// The rules of groups that the last transaction read, checked once for each revision.
#[derive(Debug, Default)]
pub struct RulesInUse(Mutex<Option<(i64, Arc<Groups>)>>);

impl RulesInUse {
    /// What the rules make of devices that are created or renamed. Without accepted rules, nothing is known of them.
    pub(crate) fn join(
        &self,
        rules: Option<&Arc<GroupRules>>,
        hostnames: impl IntoIterator<Item = Hostname>,
    ) -> Vec<DeviceEffect> {
        let hostnames: Vec<Hostname> = hostnames.into_iter().collect();
        let Some(rules) = rules.filter(|_| !hostnames.is_empty()) else {
            return Vec::new();
        };
        let Some(groups) = self.groups(rules) else {
            return Vec::new();
        };
        let names = rules.rules.iter().map(|rule| &rule.name);
        let GroupMatches {
            hostnames,
            primaries,
            members,
        } = match_all(&groups, hostnames);
        let found = primaries.into_iter().map(|primary| GroupsByRule {
            primary,
            ..GroupsByRule::default()
        });
        let mut found: Vec<GroupsByRule> = found.collect();
        for (name, places) in names.zip(members) {
            for place in places {
                let device = usize::try_from(place).ok().and_then(|place| found.get_mut(place));
                if let Some(device) = device {
                    device.groups.insert(name.clone());
                }
            }
        }
        let found: BTreeMap<Hostname, GroupsByRule> = hostnames.into_iter().zip(found).collect();
        let effects = found
            .into_iter()
            .map(|(hostname, groups)| DeviceEffect::JoinByRule { hostname, groups });
        effects.collect()
    }

    fn groups(&self, rules: &GroupRules) -> Option<Arc<Groups>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, groups)) = &*kept
            && *revision == rules.revision
        {
            return Some(groups.clone());
        }
        // They were valid when they were accepted; a program with other bounds may have done that.
        match Groups::new(definitions(&rules.rules), &Cancellation::never()) {
            Ok(groups) => {
                let groups = Arc::new(groups);
                *kept = Some((rules.revision, groups.clone()));
                Some(groups)
            }
            Err(errors) => {
                let error = errors.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(
                    error,
                    "the stored rules of groups are not valid, so that new devices have no groups by rule; accept the settings again"
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lockstep_store::{GroupRule, GroupRuleMembers};

    use super::*;

    fn rule(name: &str, regex: &str, priority: u8) -> GroupRule {
        GroupRule {
            name: name.to_owned().try_into().unwrap(),
            members: GroupRuleMembers::Matching(regex.to_owned()),
            priority,
        }
    }

    fn rules(revision: i64, rules: Vec<GroupRule>) -> Arc<GroupRules> {
        Arc::new(GroupRules { revision, rules })
    }

    fn joined(in_use: &RulesInUse, rules: &Arc<GroupRules>, hostname: &str) -> (Vec<String>, Option<String>) {
        let effects = in_use.join(Some(rules), [hostname.parse().unwrap()]);
        let [DeviceEffect::JoinByRule { groups, .. }] = &effects[..] else {
            panic!("{effects:?}");
        };
        let names = groups.groups.iter().map(ToString::to_string);
        (names.collect(), groups.primary.as_ref().map(ToString::to_string))
    }

    #[test]
    fn a_new_device_joins_what_the_newest_rules_say() {
        let in_use = RulesInUse::default();
        let first = rules(1, vec![rule("ALL", "", 0), rule("EDGE", "edge", 5)]);
        let both = |group: &str| (vec!["ALL".to_owned(), "EDGE".to_owned()], Some(group.to_owned()));
        assert_eq!(joined(&in_use, &first, "edge1"), both("EDGE"));
        let (names, primary) = joined(&in_use, &first, "core1");
        assert_eq!(
            (names, primary.as_deref()),
            (vec!["ALL".to_owned()], Some("DEFAULT"))
        );
        let second = rules(2, vec![rule("CORE", "core", 5)]);
        let (names, primary) = joined(&in_use, &second, "core1");
        assert_eq!(
            (names, primary.as_deref()),
            (vec!["CORE".to_owned()], Some("CORE"))
        );
        assert_eq!(in_use.join(None, ["edge1".parse().unwrap()]), []);
        let invalid = rules(3, vec![rule("BAD", "(", 5)]);
        assert_eq!(in_use.join(Some(&invalid), ["edge1".parse().unwrap()]), []);
    }

    #[test]
    fn where_a_regex_takes_too_long_the_device_is_no_member_and_its_primary_group_is_unknown() {
        let slow = rules(1, vec![rule("ALL", "", 0), rule("SLOW", "(?:(a|aa)+)+\\1-b$", 9)]);
        let (names, primary) = joined(&RulesInUse::default(), &slow, &format!("{}-c", "a".repeat(50)));
        assert_eq!((names, primary), (vec!["ALL".to_owned()], None));
    }
}
