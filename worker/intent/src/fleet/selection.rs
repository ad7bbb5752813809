use std::collections::BTreeSet;

use lockstep_protocol::{DeviceType, GroupName, Hostname};

use super::{Affected, Groups};
use crate::Cancellation;

/// The attributes of a device that decide whether a change concerns it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Compared with `devices/` folders and the regexes of groups.
    pub hostname: &'a Hostname,
    /// Compared with the folders of types and with `mapping.yml`.
    pub device_type: &'a DeviceType,
    /// Its platform, if known. Without a platform, templates do not concern it.
    pub platform: Option<&'a str>,
}

/// The devices that a change concerns, and the names in the change that do not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection<'a> {
    /// In the order of the candidates.
    pub devices: Vec<&'a Hostname>,
    /// Hostnames of the change that no device has; empty if the change is global.
    pub unknown_hostnames: BTreeSet<Hostname>,
    /// Groups of the change that are not defined; empty if the change is global.
    pub unknown_groups: BTreeSet<GroupName>,
    /// Devices that are selected because a regex takes too long on them, so that their primary group is unknown.
    pub undecided: BTreeSet<&'a Hostname>,
}

/// Selects the devices that a change concerns. If the change concerns groups and the primary group of a device is unknown, the
/// device is selected: the next sync run corrects a superfluous flag, but nothing corrects a missing one.
pub fn select<'a>(
    affected: &Affected,
    groups: &Groups,
    devices: impl Iterator<Item = Candidate<'a>>,
) -> Selection<'a> {
    let mut selection = Selection {
        unknown_hostnames: affected.hostnames.clone(),
        unknown_groups: affected
            .groups
            .iter()
            .filter(|group| !groups.contains(group))
            .cloned()
            .collect(),
        ..Selection::default()
    };
    if affected.global {
        selection.unknown_hostnames.clear();
        selection.unknown_groups.clear();
    }
    let platforms = Platforms::of(affected);
    let mut candidates = Vec::new();
    let mut by_group = Vec::new();
    for device in devices {
        let named = affected.hostnames.contains(device.hostname);
        if named {
            selection.unknown_hostnames.remove(device.hostname);
        }
        let selected =
            named || affected.device_types.contains(device.device_type) || platforms.contain(&device);
        if !selected && !affected.groups.is_empty() {
            by_group.push(device.hostname);
        }
        candidates.push((device.hostname, selected));
    }
    let mut primaries = groups.primaries(&by_group, &Cancellation::never()).into_iter();
    for (hostname, selected) in candidates {
        let selected = selected
            || match primaries.next() {
                Some(Ok(group)) => affected.groups.contains(group),
                Some(Err(_)) => selection.undecided.insert(hostname),
                None => false,
            };
        if selected {
            selection.devices.push(hostname);
        }
    }
    selection
}

/// The platforms of a change, borrowed so that a lookup does not allocate.
struct Platforms<'a> {
    typed: BTreeSet<(&'a DeviceType, &'a str)>,
    whole: BTreeSet<&'a str>,
}

impl<'a> Platforms<'a> {
    fn of(affected: &'a Affected) -> Self {
        let typed = affected.platforms.iter();
        Self {
            typed: typed.map(|(kind, platform)| (kind, platform.as_str())).collect(),
            whole: affected.whole_platforms.iter().map(String::as_str).collect(),
        }
    }

    fn contain(&self, device: &Candidate<'_>) -> bool {
        device.platform.is_some_and(|platform| {
            self.whole.contains(platform) || self.typed.contains(&(device.device_type, platform))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{GroupRule, Members};

    fn group(name: &str) -> GroupName {
        name.to_owned().try_into().unwrap()
    }

    fn selected(affected: &Affected) -> (String, String, String) {
        let rules = vec![
            GroupRule {
                name: group("EDGE"),
                members: Members::Matching("edge".to_owned()),
                priority: 10,
            },
            GroupRule {
                name: group("ALL"),
                members: Members::Matching(".*".to_owned()),
                priority: 0,
            },
        ];
        let fleet: Vec<(Hostname, DeviceType, Option<&str>)> = vec![
            ("edge1".parse().unwrap(), DeviceType::ACCESS, Some("eos")),
            ("edge2".parse().unwrap(), DeviceType::DIST, Some("junos")),
            ("core1".parse().unwrap(), DeviceType::CORE, Some("eos")),
            ("fw1".parse().unwrap(), DeviceType::FIREWALL, None),
            ("new1".parse().unwrap(), DeviceType::UNKNOWN, Some("eos")),
        ];
        let devices = fleet.iter().map(|(hostname, device_type, platform)| Candidate {
            hostname,
            device_type,
            platform: *platform,
        });
        let selection = select(
            affected,
            &Groups::new(rules, &Cancellation::never()).unwrap(),
            devices,
        );
        assert_eq!(selection.undecided, BTreeSet::new());
        let names = |all: Vec<String>| all.join(" ");
        (
            names(selection.devices.iter().map(ToString::to_string).collect()),
            names(
                selection
                    .unknown_hostnames
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            ),
            names(selection.unknown_groups.iter().map(ToString::to_string).collect()),
        )
    }

    #[test]
    fn devices_are_selected_by_type_platform_name_and_primary_group() {
        let none = Affected::default;
        let table = [
            (none(), "", "", ""),
            (
                Affected {
                    device_types: [DeviceType::ACCESS, DeviceType::CORE].into(),
                    ..none()
                },
                "edge1 core1",
                "",
                "",
            ),
            (
                Affected {
                    platforms: [(DeviceType::CORE, "eos".to_owned())].into(),
                    ..none()
                },
                "core1",
                "",
                "",
            ),
            (
                Affected {
                    whole_platforms: ["eos".to_owned()].into(),
                    ..none()
                },
                "edge1 core1 new1",
                "",
                "",
            ),
            (
                Affected {
                    hostnames: ["fw1".parse().unwrap(), "gone1".parse().unwrap()].into(),
                    ..none()
                },
                "fw1",
                "gone1",
                "",
            ),
            (
                Affected {
                    groups: [group("EDGE"), group("NOBODY")].into(),
                    ..none()
                },
                "edge1 edge2",
                "",
                "NOBODY",
            ),
            (
                Affected {
                    device_types: [DeviceType::CORE].into(),
                    hostnames: ["fw1".parse().unwrap(), "gone1".parse().unwrap()].into(),
                    groups: [group("NOBODY")].into(),
                    global: true,
                    ..none()
                },
                "core1 fw1",
                "",
                "",
            ),
            // Members of a group that is not their primary one are not concerned.
            (
                Affected {
                    groups: [group("ALL")].into(),
                    ..none()
                },
                "",
                "",
                "",
            ),
            (
                Affected {
                    groups: [group("DEFAULT")].into(),
                    ..none()
                },
                "core1 fw1 new1",
                "",
                "",
            ),
        ];
        for (affected, devices, hostnames, groups) in table {
            let expected = (devices.to_owned(), hostnames.to_owned(), groups.to_owned());
            assert_eq!(selected(&affected), expected, "{affected:?}");
        }
    }

    #[test]
    fn a_device_whose_primary_group_is_unknown_is_selected() {
        let slow = GroupRule {
            name: group("SLOW"),
            members: Members::Matching("(?:(a|aa)+)+\\1-b$".to_owned()),
            priority: 9,
        };
        let hostname: Hostname = format!("{}-c", "a".repeat(50)).parse().unwrap();
        let device = Candidate {
            hostname: &hostname,
            device_type: &DeviceType::ACCESS,
            platform: None,
        };
        let groups = Groups::new(vec![slow], &Cancellation::never()).unwrap();
        let affected = Affected {
            groups: [group("OTHER")].into(),
            ..Affected::default()
        };
        let selection = select(&affected, &groups, [device].into_iter());
        assert_eq!(selection.devices, [&hostname]);
        assert_eq!(selection.undecided, [&hostname].into());
    }
}
