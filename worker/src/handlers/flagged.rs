use std::collections::BTreeSet;

use lockstep_protocol::{Cause, Hostname};
use lockstep_store::DeviceEffect;

/// The devices that one message flags, each for one cause: the first one counts.
#[derive(Debug, Default)]
pub(super) struct Flagged {
    pub(super) effects: Vec<DeviceEffect>,
    pub(super) devices: BTreeSet<Hostname>,
}

impl Flagged {
    pub(super) fn flag(&mut self, hostname: &Hostname, cause: Cause) {
        if self.devices.insert(hostname.clone()) {
            self.effects.push(unsynchronize(hostname, cause));
        }
    }

    pub(super) fn flag_all<'a>(&mut self, hostnames: impl IntoIterator<Item = &'a Hostname>, cause: Cause) {
        for hostname in hostnames {
            self.flag(hostname, cause);
        }
    }
}

/// Marks the device as unsynchronized.
pub(super) fn unsynchronize(hostname: &Hostname, cause: Cause) -> DeviceEffect {
    DeviceEffect::Unsynchronize {
        hostname: hostname.clone(),
        cause,
    }
}
