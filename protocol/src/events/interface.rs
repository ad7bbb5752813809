use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bounds::{self, MAX_INTERFACES};
use crate::{Hostname, InterfaceName};

/// Interfaces of a device were updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InterfaceUpdated {
    /// The device.
    pub hostname: Hostname,
    /// Which interfaces, 1 to 4,096.
    #[serde(deserialize_with = "interfaces")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::bounds::MAX_INTERFACES)))]
    pub interfaces: Vec<UpdatedInterface>,
    /// Whether their configuration changed, or only their status.
    pub kind: UpdateKind,
}

fn interfaces<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<UpdatedInterface>, D::Error> {
    bounds::list(deserializer, 1..=MAX_INTERFACES)
}

/// One updated interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdatedInterface {
    /// The interface.
    pub name: InterfaceName,
    /// What it is configured as now; absent where the sender does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Value>,
}

/// What about the interfaces changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UpdateKind {
    /// What the device should be: flags it.
    Configuration,
    /// What it happens to be, such as after a bounce: does not.
    Status,
}
