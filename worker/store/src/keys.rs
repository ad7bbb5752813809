use std::collections::BTreeSet;

use lockstep_protocol::{Hostname, Identity, Mac, Serial};

use super::DeadLetterSelector;

/// What a batch of messages asks the store about. Sorted, so that locks are always taken in one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Messages that may have been worked before.
    pub identities: BTreeSet<Identity>,
    /// Devices, to be locked.
    pub hostnames: BTreeSet<Hostname>,
    /// MAC addresses that may belong to a device.
    pub macs: BTreeSet<Mac>,
    /// Serial numbers that may belong to a device.
    pub serials: BTreeSet<Serial>,
    /// Devices whose links are asked for.
    pub links_of: BTreeSet<Hostname>,
    /// Dead letters, to be locked.
    pub dead_letters: BTreeSet<DeadLetterSelector>,
}

impl Keys {
    /// Adds what another message asks for.
    pub fn extend(&mut self, other: Self) {
        self.identities.extend(other.identities);
        self.hostnames.extend(other.hostnames);
        self.macs.extend(other.macs);
        self.serials.extend(other.serials);
        self.links_of.extend(other.links_of);
        self.dead_letters.extend(other.dead_letters);
    }
}
