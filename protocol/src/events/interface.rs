use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bounds::{self, MAX_INTERFACES};
use crate::{Hostname, InterfaceName};

/// Interfaces of a device were updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InterfaceUpdated {
    /// The device's hostname.
    pub hostname: Hostname,
    /// The updated interfaces, 1 to 4,096.
    #[serde(deserialize_with = "interfaces")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::bounds::MAX_INTERFACES)))]
    pub interfaces: Vec<UpdatedInterface>,
    /// Whether the configuration of the interfaces changed, or only their status.
    pub kind: UpdateKind,
}

fn interfaces<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<UpdatedInterface>, D::Error> {
    bounds::list(deserializer, 1..=MAX_INTERFACES)
}

/// One updated interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdatedInterface {
    /// The interface's name as the device spells it.
    pub name: InterfaceName,
    /// The new configuration, any JSON; absent if the sender does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Value>,
}

/// What changed at the interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UpdateKind {
    /// The intended configuration: flags the device.
    Configuration,
    /// The operational status, such as after a link went down and up: flags nothing.
    Status,
}
