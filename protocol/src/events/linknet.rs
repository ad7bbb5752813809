use serde::{Deserialize, Serialize};

use crate::{Hostname, InterfaceName};

/// A link between two devices was added, updated or removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinknetChanged {
    /// What happened to it.
    pub action: LinknetAction,
    /// One end.
    pub a: LinknetEnd,
    /// The other end.
    pub b: LinknetEnd,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinknetEnd {
    /// The device.
    pub hostname: Hostname,
    /// Its interface.
    pub interface: InterfaceName,
}

/// What happened to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LinknetAction {
    /// It is new.
    Added,
    /// Its addressing or its ends changed.
    Updated,
    /// It is gone.
    Removed,
}
