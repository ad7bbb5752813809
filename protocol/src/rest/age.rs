use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DeviceState, DeviceType, Hostname};

/// Which age of devices is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AgeOf {
    /// How long `MANAGED` devices have been unsynchronized. It restarts when a device returns to `MANAGED`.
    Unsynchronized,
    /// How long `UNMANAGED` devices have been `UNMANAGED`.
    Unmanaged,
    /// How long synchronized `MANAGED` devices have not been compared with their intended configuration: how old that verdict is.
    Unchecked,
}

impl AgeOf {
    /// The state of the devices that are measured.
    pub fn state(self) -> DeviceState {
        match self {
            Self::Unsynchronized | Self::Unchecked => DeviceState::Managed,
            Self::Unmanaged => DeviceState::Unmanaged,
        }
    }

    /// Its name in a query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsynchronized => "unsynchronized",
            Self::Unmanaged => "unmanaged",
            Self::Unchecked => "unchecked",
        }
    }
}

impl fmt::Display for AgeOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no age.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not one of unsynchronized, unmanaged, unchecked")]
pub struct AgeOfError(String);

impl FromStr for AgeOf {
    type Err = AgeOfError;

    fn from_str(text: &str) -> Result<Self, AgeOfError> {
        [Self::Unsynchronized, Self::Unmanaged, Self::Unchecked]
            .into_iter()
            .find(|of| of.as_str() == text)
            .ok_or_else(|| AgeOfError(text.to_owned()))
    }
}

/// The answer of `GET /v1/fleet/ages`: how old unsynchronized flags or states are, by the store's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FleetAges {
    /// When they were measured.
    pub at: Timestamp,
    /// The devices that match the filters, in any state.
    pub matching: u64,
    /// Those of them in the state that is measured: `MANAGED` or `UNMANAGED`.
    pub in_state: u64,
    /// Those of them that have an age: that are unsynchronized, that are synchronized, or all that are `UNMANAGED`.
    pub aged: u64,
    /// Those of them whose age reaches `warning`, which includes those that reach `critical`.
    pub over_warning: u64,
    /// Those of them whose age reaches `critical`.
    pub over_critical: u64,
    /// The oldest ones, the oldest first.
    pub oldest: Vec<AgedDevice>,
    /// The devices that match the filters, in any state, whose `until` has passed.
    pub expired: u64,
    /// Those whose `until` passed first.
    pub longest_expired: Vec<AgedDevice>,
}

/// A device with its age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgedDevice {
    /// Unique in the fleet.
    pub hostname: Hostname,
    /// The role of the device in the network.
    pub device_type: DeviceType,
    /// The lifecycle state, such as `MANAGED`.
    pub state: DeviceState,
    /// Since when it is unsynchronized, in its state, or not compared; since it came to its state if it never was. A device that moved to its state before the store recorded when has the beginning
    /// of the records. Null for a device of `longest_expired` that has no such age.
    pub since: Option<Timestamp>,
    /// How long that is, in seconds.
    pub age_seconds: Option<u64>,
    /// Why it is not synchronized: each reason once, in the order of the oldest of its open causes.
    pub causes: Vec<String>,
    /// A note of the operator who set the state.
    pub note: Option<String>,
    /// The end of the state that the operator noted.
    pub until: Option<Timestamp>,
}
