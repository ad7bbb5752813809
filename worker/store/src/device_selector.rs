use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::sync::Arc;

use lockstep_protocol::{DeviceType, Hostname};

/// Devices, by what they are: each that fits one of these.
#[derive(Clone, Default)]
pub struct DeviceSelector {
    /// All of these types.
    pub device_types: BTreeSet<DeviceType>,
    /// All of these types on these platforms.
    pub platforms: BTreeSet<(DeviceType, String)>,
    /// All on these platforms.
    pub whole_platforms: BTreeSet<String>,
    /// These; those that are not there are reported.
    pub hostnames: BTreeSet<Hostname>,
    /// Those whose name is chosen, such as by group.
    pub predicate: Option<DevicePredicate>,
}

/// Chooses devices by their names.
pub type DevicePredicate = Arc<dyn Fn(&Hostname) -> bool + Send + Sync>;

/// Who was unsynchronized.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flagged {
    /// How many devices it concerned.
    pub concerned: u64,
    /// How many of them were synchronized before.
    pub flipped: u64,
    /// The first of them in order of their names, at most [`MAX_DEVICES`](lockstep_protocol::results::MAX_DEVICES).
    pub devices: Vec<Hostname>,
    /// Hostnames that no device has.
    pub unknown_hostnames: BTreeSet<Hostname>,
}

impl DeviceSelector {
    /// Whether it may be most of the fleet.
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
            .field("chosen", &self.predicate.is_some())
            .finish()
    }
}
