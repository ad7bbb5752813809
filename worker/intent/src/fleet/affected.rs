use std::collections::BTreeSet;

use lockstep_protocol::{DeviceType, GroupName, Hostname};

use crate::bounds::MOST_PROBLEMS;

/// The devices that a change of the intended configuration concerns, described independently of the inventory. The state of a
/// device plays no part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// All devices of these types.
    pub device_types: BTreeSet<DeviceType>,
    /// All devices of this type on this platform.
    pub platforms: BTreeSet<(DeviceType, String)>,
    /// All devices on these platforms, whatever their type.
    pub whole_platforms: BTreeSet<String>,
    /// Single devices.
    pub hostnames: BTreeSet<Hostname>,
    /// The devices that have one of these as their primary group.
    pub groups: BTreeSet<GroupName>,
    /// Whether `global/` changed. The other fields still hold everything else that changed, for devices of types that `global/`
    /// does not concern; names that no device has are not reported then, as in CNaaS NMS.
    pub global: bool,
    /// Folders below `devices/` or `groups/`, or platforms, whose names are not valid; not more than a thousand. Escaped for display.
    pub misnamed: BTreeSet<String>,
}

impl Affected {
    /// Whether it describes no device.
    pub fn is_empty(&self) -> bool {
        let Self {
            device_types,
            platforms,
            whole_platforms,
            hostnames,
            groups,
            global: _,
            misnamed: _,
        } = self;
        device_types.is_empty()
            && platforms.is_empty()
            && whole_platforms.is_empty()
            && hostnames.is_empty()
            && groups.is_empty()
    }

    /// Adds a name that is not valid, unless there are many already: a warning for each of a million helps nobody.
    pub(crate) fn add_misnamed(&mut self, name: String) {
        if self.misnamed.len() < MOST_PROBLEMS {
            self.misnamed.insert(name);
        }
    }

    /// Adds the devices of another one.
    pub fn union(&mut self, other: Self) {
        let Self {
            device_types,
            platforms,
            whole_platforms,
            hostnames,
            groups,
            global,
            misnamed,
        } = other;
        self.device_types.extend(device_types);
        self.platforms.extend(platforms);
        self.whole_platforms.extend(whole_platforms);
        self.hostnames.extend(hostnames);
        self.groups.extend(groups);
        self.global |= global;
        self.misnamed.extend(misnamed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_has_the_devices_of_both() {
        let mut affected = Affected::default();
        assert!(affected.is_empty());
        affected.union(Affected {
            misnamed: ["devices/a_b".to_owned()].into(),
            ..Affected::default()
        });
        assert!(affected.is_empty(), "an invalid name concerns no device");
        let parts = [
            Affected {
                device_types: [DeviceType::CORE].into(),
                global: true,
                ..Affected::default()
            },
            Affected {
                platforms: [(DeviceType::ACCESS, "eos".to_owned())].into(),
                ..Affected::default()
            },
            Affected {
                whole_platforms: ["junos".to_owned()].into(),
                ..Affected::default()
            },
            Affected {
                hostnames: ["sw1".parse().unwrap()].into(),
                ..Affected::default()
            },
            Affected {
                groups: ["E1".to_owned().try_into().unwrap()].into(),
                ..Affected::default()
            },
        ];
        for part in &parts {
            assert!(!part.is_empty(), "{part:?}");
            affected.union(part.clone());
        }
        let expected = Affected {
            device_types: parts[0].device_types.clone(),
            platforms: parts[1].platforms.clone(),
            whole_platforms: parts[2].whole_platforms.clone(),
            hostnames: parts[3].hostnames.clone(),
            groups: parts[4].groups.clone(),
            global: true,
            misnamed: ["devices/a_b".to_owned()].into(),
        };
        assert_eq!(affected, expected);
    }
}
