use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;

/// The system that has the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// NetBox.
    NetBox,
    /// Nautobot.
    Nautobot,
}

impl System {
    /// Every system.
    pub const ALL: [Self; 2] = [Self::NetBox, Self::Nautobot];

    /// The system's name in paths and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NetBox => "netbox",
            Self::Nautobot => "nautobot",
        }
    }
}

impl FromStr for System {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|system| system.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is not \"netbox\" or \"nautobot\""))
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Created,
    /// Its fields changed.
    Updated,
    /// It is gone.
    Deleted,
}

impl Action {
    /// The action's name in webhooks and in the change log, where both systems use different words.
    pub(crate) fn named(text: &str) -> Option<Self> {
        match text {
            "created" | "create" => Some(Self::Created),
            "updated" | "update" => Some(Self::Updated),
            "deleted" | "delete" => Some(Self::Deleted),
            _ => None,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// The type of an object, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// A device.
    Device,
    /// An interface of a device.
    Interface,
    /// A cable between two interfaces.
    Cable,
    /// An IP address.
    IpAddress,
    /// Any other type, by its name.
    Other(String),
}

impl Model {
    /// The most characters of the name of a type that are kept.
    const LONGEST: usize = 100;

    /// The type with this name, with or without the application: `dcim.device` or `device`.
    pub fn named(text: &str) -> Self {
        match text.rsplit_once('.').unwrap_or(("", text)) {
            ("dcim" | "", "device") => Self::Device,
            ("dcim" | "", "interface") => Self::Interface,
            ("dcim" | "", "cable") => Self::Cable,
            ("ipam" | "", "ipaddress") => Self::IpAddress,
            _ => Self::Other(text.chars().take(Self::LONGEST).collect()),
        }
    }

    /// The name of the type, without the application.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Device => "device",
            Self::Interface => "interface",
            Self::Cable => "cable",
            Self::IpAddress => "ipaddress",
            Self::Other(name) => name,
        }
    }
}

/// One object was created, updated or deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectChange {
    /// The system that says so.
    pub system: System,
    /// What happened.
    pub action: Action,
    /// The type of the object.
    pub model: Model,
    /// The primary key of the object.
    pub object_id: String,
    /// The object in the REST representation, with nested objects: after the change, or before it was deleted.
    pub object: Value,
    /// The fields before the change, as the system keeps them in its change log. `None` for a new object, and where it is not known.
    pub before: Option<Value>,
    /// The fields after the change, in the same representation. `None` for a deleted object, and where it is not known.
    pub after: Option<Value>,
    /// The request that made the change, which webhooks and the change log share.
    pub request_id: Option<String>,
    /// What tells changes of one object in one request apart, in systems that report each.
    pub revision: Option<String>,
    /// When the system reported it.
    pub at: Timestamp,
}

impl ObjectChange {
    /// The name of the object after the change: that of the change log, since the object may have been read later.
    pub(crate) fn name(&self) -> Option<&str> {
        let logged = self.after.as_ref().filter(|after| after.get("name").is_some());
        super::field::text(logged.unwrap_or(&self.object), "name")
    }

    /// The name of the object before the change.
    pub(crate) fn name_before(&self) -> Option<&str> {
        super::field::text(self.before.as_ref()?, "name")
    }
}
