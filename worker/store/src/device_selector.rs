use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::sync::Arc;

use lockstep_protocol::{DeviceType, Hostname};

/// Selects devices by their attributes: each device that matches at least one criterion.
#[derive(Clone, Default)]
pub struct DeviceSelector {
    /// All devices of these types.
    pub device_types: BTreeSet<DeviceType>,
    /// All devices of these types on these platforms.
    pub platforms: BTreeSet<(DeviceType, String)>,
    /// All devices on these platforms, whatever their type.
    pub whole_platforms: BTreeSet<String>,
    /// The devices with these names; names without a device are reported.
    pub hostnames: BTreeSet<Hostname>,
    /// The devices whose name matches, such as the members of a group.
    pub predicate: Option<DevicePredicate>,
}

/// Tells whether a device is selected by its name.
pub type DevicePredicate = Arc<dyn Fn(&Hostname) -> bool + Send + Sync>;

/// The devices that a change concerned, and the effect on their flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flagged {
    /// How many devices the change concerned.
    pub concerned: u64,
    /// How many of them were synchronized before.
    pub flipped: u64,
    /// The first of the devices concerned, ordered by name, at most [`MAX_DEVICES`](lockstep_protocol::results::MAX_DEVICES).
    pub devices: Vec<Hostname>,
    /// Hostnames that no device has.
    pub unknown_hostnames: BTreeSet<Hostname>,
}

impl DeviceSelector {
    /// Whether it may match most of the fleet.
    pub(super) fn is_broad(&self) -> bool {
        !self.device_types.is_empty()
            || !self.platforms.is_empty()
            || !self.whole_platforms.is_empty()
            || self.predicate.is_some()
    }
}

impl Debug for DeviceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceSelector")
            .field("device_types", &self.device_types)
            .field("platforms", &self.platforms)
            .field("whole_platforms", &self.whole_platforms)
            .field("hostnames", &self.hostnames)
            .field("predicate", &self.predicate.is_some())
            .finish()
    }
}
