//! The levels and stages of the run cycle, as messages, REST and the store name them (docs/reference/run-cycle.md).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::commands::ExecuteOn;

/// The kind of an element of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EntityType {
    /// The whole fleet.
    Global,
    /// A group of devices.
    Group,
    /// A device.
    Device,
    /// An interface of a device.
    Interface,
    /// A client of an interface or of a group.
    Client,
    /// Something outside of the fleet that the first step found, such as a CloudVision task.
    Item,
}

/// A level of the run cycle: what one step runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// The whole fleet.
    Global,
    /// Something outside of the fleet that the first step found.
    Item,
    /// A group of devices.
    Group,
    /// A client of a group: a group is a location then.
    GroupClient,
    /// The device that is connected to: a controller of devices, or the device itself.
    NornirDevice,
    /// A device.
    Device,
    /// An interface of a device.
    Interface,
    /// A client of an interface.
    InterfaceClient,
}

/// A stage of an execution: the steps between two barriers. All elements end a stage before the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Step 1, once.
    PreRunGlobal,
    /// The items that step 1 found, each by itself. The run cycle of neops has no such stage.
    Items,
    /// Steps 2 and 3, per group.
    PreRunGroups,
    /// Steps 4 to 11, per device that is connected to.
    Devices,
    /// Steps 12 and 13, per group.
    RunGroups,
    /// Step 14, once.
    RunGlobal,
}

impl EntityType {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Global,
        Self::Group,
        Self::Device,
        Self::Interface,
        Self::Client,
        Self::Item,
    ];

    /// The kind as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "GLOBAL",
            Self::Group => "GROUP",
            Self::Device => "DEVICE",
            Self::Interface => "INTERFACE",
            Self::Client => "CLIENT",
            Self::Item => "ITEM",
        }
    }
}

impl From<ExecuteOn> for EntityType {
    fn from(kind: ExecuteOn) -> Self {
        match kind {
            ExecuteOn::Global => Self::Global,
            ExecuteOn::Group => Self::Group,
            ExecuteOn::Device => Self::Device,
            ExecuteOn::Interface => Self::Interface,
            ExecuteOn::Client => Self::Client,
        }
    }
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 8] = [
        Self::Global,
        Self::Item,
        Self::Group,
        Self::GroupClient,
        Self::NornirDevice,
        Self::Device,
        Self::Interface,
        Self::InterfaceClient,
    ];

    /// The level as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "GLOBAL",
            Self::Item => "ITEM",
            Self::Group => "GROUP",
            Self::GroupClient => "GROUP_CLIENT",
            Self::NornirDevice => "NORNIR_DEVICE",
            Self::Device => "DEVICE",
            Self::Interface => "INTERFACE",
            Self::InterfaceClient => "INTERFACE_CLIENT",
        }
    }

    /// The kind of the entities at this level.
    pub const fn entity_type(self) -> EntityType {
        match self {
            Self::Global => EntityType::Global,
            Self::Item => EntityType::Item,
            Self::Group => EntityType::Group,
            Self::NornirDevice | Self::Device => EntityType::Device,
            Self::Interface => EntityType::Interface,
            Self::GroupClient | Self::InterfaceClient => EntityType::Client,
        }
    }
}

impl Stage {
    /// Every stage, in their order.
    pub const ALL: [Self; 6] = [
        Self::PreRunGlobal,
        Self::Items,
        Self::PreRunGroups,
        Self::Devices,
        Self::RunGroups,
        Self::RunGlobal,
    ];

    /// The stage as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreRunGlobal => "pre-run-global",
            Self::Items => "items",
            Self::PreRunGroups => "pre-run-groups",
            Self::Devices => "devices",
            Self::RunGroups => "run-groups",
            Self::RunGlobal => "run-global",
        }
    }

    /// The kind of the elements that take part in the stage.
    pub const fn entity_type(self) -> EntityType {
        match self {
            Self::PreRunGlobal | Self::RunGlobal => EntityType::Global,
            Self::Items => EntityType::Item,
            Self::PreRunGroups | Self::RunGroups => EntityType::Group,
            Self::Devices => EntityType::Device,
        }
    }
}

macro_rules! texts {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
                found.ok_or_else(|| {
                    let known = Self::ALL.map(Self::as_str).join(", ");
                    format!("{text:?} is not {}; expected one of {known}", $what)
                })
            }
        }
    };
}

texts!(EntityType, "a kind of entity");
texts!(Level, "a level");
texts!(Stage, "a stage");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_are_written() {
        for kind in EntityType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
        }
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse(), Ok(stage));
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.as_str());
        }
        for kind in ExecuteOn::ALL {
            assert_eq!(EntityType::from(kind).as_str(), kind.as_str());
        }
        assert!("VLAN".parse::<Level>().unwrap_err().contains("NORNIR_DEVICE"));
    }
}
