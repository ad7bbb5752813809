use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use lockstep_protocol::{DeviceState, DeviceType};

/// The fields of an interface whose change means that the configuration of its device changed.
const INTERFACE_FIELDS: [&str; 21] = [
    "name",
    "enabled",
    "description",
    "type",
    "mtu",
    "speed",
    "duplex",
    "mgmt_only",
    "mode",
    "untagged_vlan",
    "tagged_vlans",
    "qinq_svlan",
    "lag",
    "parent",
    "parent_interface",
    "bridge",
    "vrf",
    "status",
    "role",
    "custom_fields",
    "tags",
];

/// How the objects of a source become devices, groups and interfaces of Lockstep.
#[derive(Clone, Debug, PartialEq)]
pub struct MappingRules {
    /// The configured name of the source, for the reasons why something is ignored.
    pub source: String,
    /// The device type of each role, by the slug of the role in lower case; by its name in Nautobot, which has no slugs.
    pub device_types: BTreeMap<String, DeviceType>,
    /// The type of devices whose role is not among them. Without it, those devices are ignored.
    pub default_type: Option<DeviceType>,
    /// The platform of each platform slug, where they differ.
    pub platforms: BTreeMap<String, String>,
    /// The state of each status, in lower case. A new device whose status is not among them is `PRE_CONFIGURED`.
    pub states: BTreeMap<String, DeviceState>,
    /// Whether a device that exists follows its status, too.
    pub follow_status: bool,
    /// What makes a group of the devices that have it.
    pub groups: Vec<GroupKind>,
    /// The fields of an interface whose change is a change of configuration.
    pub interface_fields: Vec<String>,
}

impl MappingRules {
    /// The defaults, for the source with this name: no role has a device type.
    pub fn of_source(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            device_types: BTreeMap::new(),
            default_type: None,
            platforms: BTreeMap::new(),
            states: [("active".to_owned(), DeviceState::Managed)].into(),
            follow_status: false,
            groups: vec![GroupKind::Site, GroupKind::Location],
            interface_fields: INTERFACE_FIELDS.map(str::to_owned).to_vec(),
        }
    }
}

/// An attribute of devices that makes groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// The site; Nautobot 2 has none.
    Site,
    /// The location.
    Location,
    /// Each tag.
    Tag,
    /// The tenant.
    Tenant,
    /// The rack.
    Rack,
    /// The role.
    Role,
    /// The platform.
    Platform,
}

impl GroupKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Site,
        Self::Location,
        Self::Tag,
        Self::Tenant,
        Self::Rack,
        Self::Role,
        Self::Platform,
    ];

    /// The name of the kind, with which the names of its groups begin.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Location => "location",
            Self::Tag => "tag",
            Self::Tenant => "tenant",
            Self::Rack => "rack",
            Self::Role => "role",
            Self::Platform => "platform",
        }
    }

    /// Whether such a group is a location.
    pub(crate) const fn is_location(self) -> bool {
        matches!(self, Self::Site | Self::Location)
    }
}

impl FromStr for GroupKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                format!("{text:?} makes no groups; expected some of {known}")
            })
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
