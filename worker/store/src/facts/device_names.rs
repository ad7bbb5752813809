//! Devices that a batch renames or removes, and the names that they had.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use lockstep_protocol::Hostname;

use super::Facts;
use crate::{DeviceRow, FormerHostname, Version};

/// Names that devices had, and the changes of the batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NameFacts {
    /// By folded hostname.
    former: HashMap<String, FormerHostname>,
    /// For each of `Keys::neighbors_of`.
    neighbors: HashMap<Hostname, Vec<Hostname>>,
    renamed: Vec<RenamedDevice>,
    removed: Vec<i64>,
    new_former: Vec<NewFormerHostname>,
    /// The folded names of `former` that devices of the batch got.
    taken: BTreeSet<String>,
}

/// A stored device that gets another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedDevice {
    /// The number of the device.
    pub id: i64,
    /// Its name before.
    pub from: Hostname,
    /// Its new name.
    pub to: Hostname,
}

/// A hostname that a device had before the batch or in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFormerHostname {
    /// The name.
    pub hostname: Hostname,
    /// The name of that device after the batch. `None` if it was removed.
    pub current: Option<Hostname>,
    /// The version of the message.
    pub version: Version,
    /// When it was applied.
    pub at: Timestamp,
}

impl Facts {
    /// Adds a hostname that no device has now.
    pub fn add_former_hostname(&mut self, former: FormerHostname) {
        self.names.former.insert(former.hostname.folded(), former);
    }

    /// Adds a device one of whose interfaces names `of` as its neighbour, in the key `neighbor` of its configuration.
    pub fn add_neighbor_by_configuration(&mut self, of: Hostname, hostname: Hostname) {
        self.names.neighbors.entry(of).or_default().push(hostname);
    }

    /// A hostname that a device had, and that no device has now, in whatever spelling.
    pub fn former_hostname(&self, hostname: &Hostname) -> Option<&FormerHostname> {
        self.names.former.get(&hostname.folded())
    }

    /// The devices one of whose interfaces names this one as its neighbour. They are read for `Keys::neighbors_of`.
    pub fn neighbors_by_configuration(&self, hostname: &Hostname) -> &[Hostname] {
        self.names.neighbors.get(hostname).map_or(&[], Vec::as_slice)
    }

    /// The device that an event is about: the one with this hostname, else the one that had it before it was renamed
    /// ([`Keys::add_device_of_event`](crate::Keys::add_device_of_event)). Commands and inventories mean what they name.
    pub fn device_of_event(&self, hostname: &Hostname) -> Option<&DeviceRow> {
        self.device(hostname)
            .or_else(|| self.device(self.former_hostname(hostname)?.current.as_ref()?))
    }

    /// Stored devices to be renamed, in this order.
    pub fn renamed(&self) -> &[RenamedDevice] {
        &self.names.renamed
    }

    /// The numbers of stored devices to be removed.
    pub fn removed(&self) -> &[i64] {
        &self.names.removed
    }

    /// Former hostnames to be written, by folded name. Names that devices have after the batch are none of them.
    pub fn new_former_hostnames(&self) -> BTreeMap<String, NewFormerHostname> {
        let new = self.names.new_former.iter().filter_map(|new| {
            let former = self.former_hostname(&new.hostname)?;
            let current = former.current.clone();
            let new = NewFormerHostname {
                current,
                ..new.clone()
            };
            Some((new.hostname.folded(), new))
        });
        new.collect()
    }

    /// The folded names that are to be forgotten as former ones, because devices of the batch got them.
    pub(crate) fn taken_hostnames(&self) -> &BTreeSet<String> {
        &self.names.taken
    }

    /// Whether the batch renames or removes devices, or gives them former names.
    pub(crate) fn change_hostnames(&self) -> bool {
        let NameFacts {
            renamed,
            removed,
            new_former,
            taken,
            ..
        } = &self.names;
        !(renamed.is_empty() && removed.is_empty() && new_former.is_empty() && taken.is_empty())
    }

    /// The name that a device has after the batch so far; `None` if it was removed.
    pub(super) fn current_name(&self, hostname: Hostname) -> Option<Hostname> {
        if self.devices.contains_key(&hostname) {
            return Some(hostname);
        }
        match self.former_hostname(&hostname) {
            Some(former) => former.current.clone(),
            None => self.spelling_of(&hostname).cloned(),
        }
    }

    /// A device gets this name.
    pub(super) fn forget_former_name(&mut self, hostname: &Hostname) {
        let folded = hostname.folded();
        if self.names.former.remove(&folded).is_some() {
            self.names.taken.insert(folded);
        }
    }

    pub(super) fn rename(&mut self, from: &Hostname, to: Hostname, version: Version, at: Timestamp) {
        let Some(mut row) = self.devices.remove(from) else {
            return;
        };
        row.hostname = to.clone();
        if let Some(id) = row.id {
            self.names.renamed.push(RenamedDevice {
                id,
                from: from.clone(),
                to: to.clone(),
            });
        }
        self.remember(from, &version, at);
        for former in self.names.former.values_mut() {
            if former.current.as_ref() == Some(from) {
                former.current = Some(to.clone());
            }
        }
        self.add_former_hostname(FormerHostname {
            hostname: from.clone(),
            current: Some(to.clone()),
            version,
        });
        self.forget_former_name(&to);
        self.spellings.remove(&from.folded());
        self.add_spelling(to.clone());
        self.rename_links(from, &to);
        self.rename_in_management_domains(from, &to);
        self.rename_pending(from, &to);
        if let Some(causes) = self.open_causes.remove(from) {
            self.open_causes.insert(to, causes);
        }
        self.add_device(row);
    }

    pub(super) fn remove(&mut self, hostname: &Hostname, version: Version, at: Timestamp) {
        let Some(row) = self.devices.remove(hostname) else {
            return;
        };
        if let Some(id) = row.id {
            self.names.removed.push(id);
        }
        self.remember(hostname, &version, at);
        for former in self.names.former.values_mut() {
            if former.current.as_ref() == Some(hostname) {
                former.current = None;
            }
        }
        self.add_former_hostname(FormerHostname {
            hostname: hostname.clone(),
            current: None,
            version,
        });
        self.macs.retain(|_, owner| owner != hostname);
        self.serials.retain(|_, owner| owner != hostname);
        self.spellings.remove(&hostname.folded());
        self.open_causes.remove(hostname);
        self.remove_links(hostname);
        self.remove_management_domains(hostname);
        self.remove_pending(hostname);
    }

    /// What became of the device is added when it is written.
    fn remember(&mut self, hostname: &Hostname, version: &Version, at: Timestamp) {
        self.names.new_former.push(NewFormerHostname {
            hostname: hostname.clone(),
            current: None,
            version: version.clone(),
            at,
        });
    }

    /// Rows that earlier messages of the batch write are written after the device is renamed.
    fn rename_pending(&mut self, from: &Hostname, to: &Hostname) {
        let rename = |name: &mut Hostname| {
            if name == from {
                *name = to.clone();
            }
        };
        self.macs.values_mut().for_each(rename);
        self.serials.values_mut().for_each(rename);
        for row in self.devices.values_mut() {
            row.attributes.controller.iter_mut().for_each(rename);
        }
        for row in &mut self.interfaces {
            rename(&mut row.hostname);
        }
        let ends = self.clients.iter_mut().filter_map(|row| row.interface.as_mut());
        ends.for_each(|end| rename(&mut end.hostname));
        for neighbors in self.names.neighbors.values_mut() {
            neighbors.iter_mut().for_each(rename);
        }
    }

    /// Rows that earlier messages of the batch would write to the device.
    fn remove_pending(&mut self, hostname: &Hostname) {
        self.interfaces.retain(|row| row.hostname != *hostname);
        for row in &mut self.clients {
            row.interface.take_if(|end| end.hostname == *hostname);
        }
        for row in self.devices.values_mut() {
            row.attributes
                .controller
                .take_if(|controller| controller == hostname);
        }
    }
}
