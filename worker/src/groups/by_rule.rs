use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use lockstep_intent::Cancellation;
use lockstep_intent::fleet::Groups;
use lockstep_protocol::Hostname;
use lockstep_store::{DeviceEffect, Effects, Facts, GroupMatches, GroupRules, GroupsByRule};

use super::matching::{definitions, match_all};

/// The rules of groups that the last transaction read, checked once for each revision.
#[derive(Debug, Default)]
pub struct RulesInUse(Mutex<Option<(i64, Arc<Groups>)>>);

impl RulesInUse {
    /// Adds what the rules make of the devices that the effects create or rename. Without accepted rules, nothing is known of them.
    pub(crate) fn join(&self, effects: &mut Effects, facts: &Facts) {
        let Some(rules) = facts.group_rules() else {
            return;
        };
        let hostnames = new_hostnames(&effects.devices);
        if !hostnames.is_empty() {
            effects.devices.extend(self.matched(rules, hostnames));
        }
    }

    fn matched(&self, rules: &GroupRules, hostnames: Vec<Hostname>) -> Vec<DeviceEffect> {
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

/// The hostnames that devices get.
fn new_hostnames(effects: &[DeviceEffect]) -> Vec<Hostname> {
    let mut names = BTreeSet::new();
    for effect in effects {
        match effect {
            DeviceEffect::Create { hostname, .. } => {
                names.insert(hostname.clone());
            }
            DeviceEffect::Rename { hostname, to, .. } => {
                names.remove(hostname);
                names.insert(to.clone());
            }
            DeviceEffect::Remove { hostname, .. } => {
                names.remove(hostname);
            }
            _ => {}
        }
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{DeviceState, DeviceType};
    use lockstep_store::{Attributes, GroupRule, GroupRuleMembers, Version};

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

    fn create(hostname: &str) -> DeviceEffect {
        DeviceEffect::Create {
            hostname: hostname.parse().unwrap(),
            attributes: Attributes::of(DeviceType::ACCESS),
            state: DeviceState::Managed,
            version: None,
        }
    }

    fn joining(
        in_use: &RulesInUse,
        rules: &Arc<GroupRules>,
        devices: Vec<DeviceEffect>,
    ) -> Vec<DeviceEffect> {
        let mut facts = Facts::default();
        facts.set_group_rules(rules.clone());
        let mut effects = Effects {
            devices,
            ..Effects::default()
        };
        in_use.join(&mut effects, &facts);
        effects.devices
    }

    fn joined(in_use: &RulesInUse, rules: &Arc<GroupRules>, hostname: &str) -> (Vec<String>, Option<String>) {
        let effects = joining(in_use, rules, vec![create(hostname)]);
        let [_, DeviceEffect::JoinByRule { groups, .. }] = &effects[..] else {
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
        let invalid = rules(3, vec![rule("BAD", "(", 5)]);
        assert_eq!(joining(&in_use, &invalid, vec![create("edge1")]).len(), 1);
        let mut unknown = Effects {
            devices: vec![create("edge1")],
            ..Effects::default()
        };
        in_use.join(&mut unknown, &Facts::default());
        assert_eq!(unknown.devices.len(), 1, "no rules were accepted");
    }

    #[test]
    fn hostnames_are_new_if_a_device_has_them_afterwards() {
        let version = || Version {
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
            id: "1".to_owned().try_into().unwrap(),
        };
        let rename = |from: &str, to: &str| DeviceEffect::Rename {
            hostname: from.parse().unwrap(),
            to: to.parse().unwrap(),
            version: version(),
        };
        let remove = DeviceEffect::Remove {
            hostname: "sw3".parse().unwrap(),
            version: version(),
        };
        let effects = [
            create("sw1"),
            rename("sw1", "sw2"),
            create("sw3"),
            remove,
            rename("old", "new"),
        ];
        let names: Vec<String> = new_hostnames(&effects).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["new", "sw2"]);
    }

    #[test]
    fn where_a_regex_takes_too_long_the_device_is_no_member_and_its_primary_group_is_unknown() {
        let slow = rules(1, vec![rule("ALL", "", 0), rule("SLOW", "(?:(a|aa)+)+\\1-b$", 9)]);
        let (names, primary) = joined(&RulesInUse::default(), &slow, &format!("{}-c", "a".repeat(50)));
        assert_eq!((names, primary), (vec!["ALL".to_owned()], None));
    }
}
