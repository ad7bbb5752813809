use std::collections::BTreeSet;

use lockstep_protocol::{Digest, Hostname, Mac, MessageKey, RepositoryName, Serial};

use super::{
    AttemptStart, DeadLetterSelector, DeviceSelector, Facts, Link, LinkEnd, NewGroupRules, RunningElement,
};

/// What a transaction reads from the store for its messages. Sorted, so that all workers take locks in the same order.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Messages that may have been processed before, with the digests of what was received. Where another message has the
    /// identity, the row of the rejection for the reuse is read, too.
    pub messages: BTreeSet<(MessageKey, Digest)>,
    /// Whether those messages are taken for new: a store may then leave out reading their inbox rows. If one has a row that was not
    /// read, the commit fails with a conflict; repeat the transaction without this. Two messages with the same key, and messages
    /// that replace the row of a dead letter, must not be taken for new.
    pub assume_new: bool,
    /// Devices, to be locked.
    pub hostnames: BTreeSet<Hostname>,
    /// MAC addresses that may belong to a device.
    pub macs: BTreeSet<Mac>,
    /// Serial numbers that may belong to a device.
    pub serials: BTreeSet<Serial>,
    /// Devices whose links are read. The devices at their other ends are read and locked, too.
    pub links_of: BTreeSet<Hostname>,
    /// Interfaces: the links of their devices are read, and of the devices at the other ends those whose links end at these
    /// interfaces are read and locked.
    pub links_at: BTreeSet<LinkEnd>,
    /// Numbers of management domains, to be locked. The devices that serve them are read and locked, too.
    pub management_domains: BTreeSet<u64>,
    /// Those of `hostnames` of which is read what the inventory says about them beside their attributes.
    pub data_of: BTreeSet<Hostname>,
    /// Devices whose open causes are read; they are among `hostnames`, too.
    pub causes_of: BTreeSet<Hostname>,
    /// Those of `hostnames` that events name: where no device has such a name now and a device had it before it was renamed, that
    /// device is read and locked, too, and what the other keys say of the name applies to it.
    pub renamed: BTreeSet<Hostname>,
    /// Devices that interfaces of others name as their neighbour; see [`Facts::neighbors_by_configuration`]. Those others are read and
    /// locked, too.
    pub neighbors_of: BTreeSet<Hostname>,
    /// Whether the rules of groups are read, and stay as they are until the transaction ends: for who creates, renames or removes a
    /// device, or writes groups.
    pub group_rules: bool,
    /// New rules of groups, which [`begin`](super::UnitOfWork::begin) writes with the members that they make.
    pub new_group_rules: Option<NewGroupRules>,
    /// Attempts of elements that may still run them; those that do are read, and do until the transaction ends.
    pub running: BTreeSet<RunningElement>,
    /// Dead letters, to be locked.
    pub dead_letters: BTreeSet<DeadLetterSelector>,
    /// Principals with devices that they command: it is read which of these they may not command.
    pub commanded: BTreeSet<(String, Hostname)>,
    /// Repositories, to be locked.
    pub repositories: BTreeSet<RepositoryName>,
    /// Devices that the transaction marks as unsynchronized; see [`Transaction::flag`](super::Transaction::flag).
    pub flag: Option<DeviceSelector>,
    /// Attempts that begin with the transaction. They are counted when its locks are taken, and stay counted if it is rolled back.
    pub starts: BTreeSet<AttemptStart>,
}

impl Keys {
    /// Adds a device that an event names: if it was renamed, the event concerns it by its present name.
    pub fn add_device_of_event(&mut self, hostname: &Hostname) {
        self.hostnames.insert(hostname.clone());
        self.renamed.insert(hostname.clone());
    }

    /// These keys with the devices that the facts lead to: renamed ones, and neighbours. `None` if the keys have all of them: then the
    /// facts are complete. Locks are taken in one order, so a transaction that was begun without them has to begin again.
    pub(crate) fn further(&self, facts: &Facts) -> Option<Self> {
        let mut further = Self::default();
        let missing = self.renamed.iter().filter(|name| facts.device(name).is_none());
        for name in missing {
            let Some(current) = facts
                .former_hostname(name)
                .and_then(|former| former.current.as_ref())
            else {
                continue;
            };
            further.hostnames.insert(current.clone());
            let at_name = self.links_at.iter().filter(|end| end.hostname == *name);
            further.links_at.extend(at_name.map(|end| LinkEnd {
                hostname: current.clone(),
                interface: end.interface.clone(),
            }));
            for (ours, theirs) in [
                (&self.renamed, &mut further.renamed),
                (&self.links_of, &mut further.links_of),
                (&self.causes_of, &mut further.causes_of),
                (&self.neighbors_of, &mut further.neighbors_of),
            ] {
                if ours.contains(name) {
                    theirs.insert(current.clone());
                }
            }
        }
        let links = self.links_of.iter().flat_map(|name| facts.links_of(name));
        let at_interfaces = self.links_at.iter().flat_map(|end| facts.links_at(end));
        let ends = links
            .chain(at_interfaces)
            .flat_map(Link::ends)
            .map(|end| &end.hostname);
        let neighbors = self.neighbors_of.iter();
        let neighbors = neighbors.flat_map(|name| facts.neighbors_by_configuration(name));
        let serving = facts.devices_of_management_domains();
        further
            .hostnames
            .extend(ends.chain(neighbors).chain(serving).cloned());
        let is_complete = further.hostnames.is_subset(&self.hostnames)
            && further.links_of.is_subset(&self.links_of)
            && further.links_at.is_subset(&self.links_at)
            && further.causes_of.is_subset(&self.causes_of)
            && further.neighbors_of.is_subset(&self.neighbors_of);
        (!is_complete).then(|| {
            let mut all = self.clone();
            all.hostnames.append(&mut further.hostnames);
            all.renamed.append(&mut further.renamed);
            all.links_of.append(&mut further.links_of);
            all.links_at.append(&mut further.links_at);
            all.causes_of.append(&mut further.causes_of);
            all.neighbors_of.append(&mut further.neighbors_of);
            all
        })
    }

    /// The devices whose links are read.
    pub(crate) fn devices_with_links(&self) -> BTreeSet<&Hostname> {
        let of_interfaces = self.links_at.iter().map(|end| &end.hostname);
        self.links_of.iter().chain(of_interfaces).collect()
    }

    /// The messages whose inbox rows are read.
    pub(crate) fn known_messages(&self) -> impl Iterator<Item = &MessageKey> {
        let read = (!self.assume_new).then_some(&self.messages);
        read.into_iter().flatten().map(|(key, _)| key)
    }

    /// What the store knows those messages by that reuse the identity of another one: of one that was processed before, or of
    /// one among them.
    pub(crate) fn reuses(&self, facts: &Facts) -> BTreeSet<MessageKey> {
        if self.assume_new {
            return BTreeSet::new();
        }
        let messages: Vec<&(MessageKey, Digest)> = self.messages.iter().collect();
        let mut reuses = BTreeSet::new();
        for same in messages.chunk_by(|(one, _), (other, _)| one == other) {
            for (key, digest) in same {
                let is_reuse = match facts.message(key) {
                    Some(row) => row.digest != *digest,
                    None => same.len() > 1,
                };
                if is_reuse {
                    reuses.insert(key.of_reuse(digest));
                }
            }
        }
        reuses
    }
}
