//! What a cause says beside its name: the interfaces that changed, or the commit and the paths that concern devices.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommitId, DeviceType, GroupName, Hostname, InterfaceName, RepositoryName};

/// The most interfaces that a cause names.
pub const MAX_CAUSE_INTERFACES: usize = 16;
/// The most paths that a cause names.
pub const MAX_CAUSE_PATHS: usize = 100;
/// The most characters of the subject of a commit, and of the name of its author.
pub const MAX_SUBJECT: usize = 200;
/// The most characters of a path of a cause; the rest is cut.
pub const MAX_CAUSE_PATH: usize = 255;

/// What a message says about a cause. The same for all devices that the cause concerns, and bounded: texts of a repository are those of
/// whoever may push to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseDetail {
    /// The commit that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CauseCommit>,
    /// Changed paths that concern devices, at most [`MAX_CAUSE_PATHS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<CausePath>,
    /// How many more changed paths concern devices.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_paths: u64,
    /// The interfaces that changed, at most [`MAX_CAUSE_INTERFACES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<InterfaceName>,
    /// How many more interfaces changed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_interfaces: u64,
}

/// A commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CauseCommit {
    /// The name of the repository.
    pub repository: RepositoryName,
    /// The id of the commit.
    pub id: CommitId,
    /// The name of its author, as the commit has it: untrusted, at most 200 characters. Absent if git could not show the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The first line of its message: untrusted, at most 200 characters. Absent if git could not show the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it was committed, as the commit has it: untrusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
    /// How many commits were accepted at once: those since the commit that was accepted before. Absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits: Option<u64>,
}

/// A changed path, and the devices that it concerns: one by its hostname, those of a group, those of some types, or those on a platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CausePath {
    /// The path: untrusted, at most 255 characters, and escaped where it is not UTF-8 or has control characters.
    pub path: String,
    /// All devices of these types; with `platform`, those on the platform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_types: Vec<DeviceType>,
    /// All devices on this platform, or those of `device_types` on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The device with this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// The devices that have this group as their primary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
}

/// A device, as far as a path may concern it.
#[derive(Clone, Copy, Debug)]
pub struct ConcernedDevice<'a> {
    /// Its hostname.
    pub hostname: &'a Hostname,
    /// Its type.
    pub device_type: &'a DeviceType,
    /// Its platform.
    pub platform: Option<&'a str>,
    /// Its primary group. `None` if it is not known.
    pub primary_group: Option<&'a GroupName>,
}

impl CausePath {
    /// Whether the path concerns a device. A path of a group concerns a device whose primary group is not known.
    pub fn concerns(&self, device: &ConcernedDevice<'_>) -> bool {
        if let Some(hostname) = &self.hostname {
            return hostname == device.hostname;
        }
        if let Some(group) = &self.group {
            return device.primary_group.is_none_or(|primary| primary == group);
        }
        let has_type = self.device_types.contains(device.device_type);
        match &self.platform {
            Some(platform) => device.platform == Some(platform) && (self.device_types.is_empty() || has_type),
            None => has_type,
        }
    }
}

impl CauseDetail {
    /// The detail of a message about these interfaces.
    pub fn of_interfaces<'a>(names: impl IntoIterator<Item = &'a InterfaceName>) -> Self {
        let mut names = names.into_iter();
        let interfaces = names.by_ref().take(MAX_CAUSE_INTERFACES).cloned().collect();
        Self {
            interfaces,
            more_interfaces: names.count() as u64,
            ..Self::default()
        }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same with the paths that concern one device. If none of them does and none was left out, the device was another one by name,
    /// type or platform when it was flagged, and all stay.
    #[must_use]
    pub fn concerning(mut self, device: &ConcernedDevice<'_>) -> Self {
        let concerned = self.paths.iter().any(|path| path.concerns(device));
        if concerned || self.more_paths > 0 {
            self.paths.retain(|path| path.concerns(device));
        }
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(value: serde_json::Value) -> CausePath {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_path_concerns_devices_by_name_group_type_or_platform() {
        let hostname: Hostname = "sw1".parse().unwrap();
        let group = |name: &str| GroupName::try_from(name.to_owned()).unwrap();
        let office = group("OFFICE");
        let device = ConcernedDevice {
            hostname: &hostname,
            device_type: &DeviceType::ACCESS,
            platform: Some("eos"),
            primary_group: Some(&office),
        };
        let table = [
            (json!({"path": "devices/sw1/x.yml", "hostname": "sw1"}), true),
            (json!({"path": "devices/sw2/x.yml", "hostname": "sw2"}), false),
            (json!({"path": "groups/OFFICE/x.yml", "group": "OFFICE"}), true),
            (json!({"path": "groups/LAB/x.yml", "group": "LAB"}), false),
            (
                json!({"path": "global/x.yml", "device_types": ["ACCESS", "DIST"]}),
                true,
            ),
            (json!({"path": "core/x.yml", "device_types": ["CORE"]}), false),
            (
                json!({"path": "eos/x.j2", "device_types": ["ACCESS"], "platform": "eos"}),
                true,
            ),
            (
                json!({"path": "eos/x.j2", "device_types": ["CORE"], "platform": "eos"}),
                false,
            ),
            (
                json!({"path": "junos/x.j2", "device_types": ["ACCESS"], "platform": "junos"}),
                false,
            ),
            (json!({"path": "eos/mapping.yml", "platform": "eos"}), true),
            (json!({"path": "junos/mapping.yml", "platform": "junos"}), false),
            (json!({"path": "x"}), false),
        ];
        for (value, expected) in table {
            assert_eq!(path(value.clone()).concerns(&device), expected, "{value}");
        }
        let unknown = ConcernedDevice {
            primary_group: None,
            ..device
        };
        assert!(path(json!({"path": "groups/LAB/x.yml", "group": "LAB"})).concerns(&unknown));
    }

    #[test]
    fn one_device_sees_the_paths_that_concern_it() {
        let hostname: Hostname = "sw1".parse().unwrap();
        let device = ConcernedDevice {
            hostname: &hostname,
            device_type: &DeviceType::ACCESS,
            platform: None,
            primary_group: None,
        };
        let mine = path(json!({"path": "devices/sw1/x", "hostname": "sw1"}));
        let other = path(json!({"path": "devices/sw2/x", "hostname": "sw2"}));
        let shown = |paths: &[&CausePath], more_paths| {
            let detail = CauseDetail {
                paths: paths.iter().copied().cloned().collect(),
                more_paths,
                ..CauseDetail::default()
            };
            let shown = detail.concerning(&device).paths.into_iter();
            shown.map(|path| path.path).collect::<Vec<String>>()
        };
        assert_eq!(shown(&[&mine, &other], 0), ["devices/sw1/x"]);
        assert_eq!(shown(&[&other], 7), [""; 0], "it may be one of the seven");
        assert_eq!(shown(&[&other], 0), ["devices/sw2/x"], "it had that name once");
    }

    #[test]
    fn interfaces_are_counted_beyond_the_most_and_absent_fields_are_left_out() {
        let names: Vec<InterfaceName> = (0..20)
            .map(|number| InterfaceName::try_from(format!("Ethernet{number}")).unwrap())
            .collect();
        let detail = CauseDetail::of_interfaces(&names);
        assert_eq!((detail.interfaces.len(), detail.more_interfaces), (16, 4));
        let text = serde_json::to_string(&CauseDetail::of_interfaces(&names[..1])).unwrap();
        assert_eq!(text, r#"{"interfaces":["Ethernet0"]}"#);
        assert!(CauseDetail::default().is_empty());
        // A newer program may say more.
        let newer: CauseDetail = serde_json::from_str(r#"{"weather": "rain"}"#).unwrap();
        assert!(newer.is_empty());
    }
}
