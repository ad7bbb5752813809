//! Which devices are outside of the limits of those who command them.

use std::collections::BTreeSet;

use lockstep_protocol::Hostname;

use super::Facts;

impl Facts {
    /// Records that a principal may not command a device.
    pub fn add_outside(&mut self, principal: &str, hostname: Hostname) {
        self.outside.insert((principal.to_owned(), hostname));
    }

    /// Whether a principal may command a device, as far as [`Keys::commanded`](crate::Keys::commanded) asked.
    pub fn may_command(&self, principal: &str, hostname: &Hostname) -> bool {
        // Nearly always nothing is outside.
        self.outside.is_empty() || !self.outside.contains(&(principal.to_owned(), hostname.clone()))
    }
}

/// Pairs of principals and devices.
pub(super) type Outside = BTreeSet<(String, Hostname)>;
