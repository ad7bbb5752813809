//! The management domains that a batch reads and changes.

use std::collections::BTreeMap;

use lockstep_protocol::Hostname;

use super::Facts;
use crate::{ManagementDomain, ManagementDomainChange, ManagementDomainRow, Version};

/// The management domains in `Keys::management_domains`, with the changes of the batch so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ManagementDomainFacts(BTreeMap<u64, ManagementDomainRow>);

impl Facts {
    /// Adds a management domain that the store has: `None` is one that was removed.
    pub fn add_management_domain(
        &mut self,
        id: u64,
        domain: Option<ManagementDomain>,
        version: Option<Version>,
    ) {
        let row = ManagementDomainRow {
            domain,
            version,
            stored: true,
            changed: false,
        };
        self.management_domains.0.insert(id, row);
    }

    /// What is known of a management domain, also of one that was removed.
    pub fn management_domain(&self, id: u64) -> Option<&ManagementDomainRow> {
        self.management_domains.0.get(&id)
    }

    /// The management domains that the batch changed, ordered by id.
    pub fn changed_management_domains(&self) -> impl Iterator<Item = (u64, &ManagementDomainRow)> {
        let rows = self.management_domains.0.iter();
        rows.filter(|(_, row)| row.changed).map(|(id, row)| (*id, row))
    }

    /// The devices that serve the stored domains.
    pub(crate) fn devices_of_management_domains(&self) -> impl Iterator<Item = &Hostname> {
        let domains = self.management_domains.0.values();
        domains
            .filter_map(|row| row.domain.as_ref())
            .flat_map(|domain| &domain.devices)
    }

    /// The newest message about a domain counts, in whichever order they arrive.
    pub(super) fn change_management_domain(&mut self, change: ManagementDomainChange) {
        let ManagementDomainChange { id, domain, version } = change;
        let known = self.management_domains.0.get(&id);
        if known.is_some_and(|row| row.version.as_ref() >= Some(&version)) {
            return;
        }
        let row = ManagementDomainRow {
            domain,
            version: Some(version),
            stored: known.is_some_and(|row| row.stored),
            changed: true,
        };
        self.management_domains.0.insert(id, row);
    }

    /// The store refers to the device by its number.
    pub(super) fn rename_in_management_domains(&mut self, from: &Hostname, to: &Hostname) {
        let domains = self
            .management_domains
            .0
            .values_mut()
            .filter_map(|row| row.domain.as_mut());
        for name in domains.flat_map(|domain| &mut domain.devices) {
            if name == from {
                *name = to.clone();
            }
        }
    }

    /// The store removes the domains with the device.
    pub(super) fn remove_management_domains(&mut self, hostname: &Hostname) {
        let serves = |domain: &ManagementDomain| domain.devices.contains(hostname);
        self.management_domains
            .0
            .retain(|_, row| !row.domain.as_ref().is_some_and(serves));
    }
}
