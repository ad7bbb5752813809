mod access;
mod dead_letters;
mod device;
mod device_names;
mod follow_ups;
mod history;
mod links;
mod management_domains;
mod syncs;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_protocol::{
    Cause, CauseDetail, Hostname, Identity, Kind, Mac, MessageKey, RepositoryName, Serial, SmolStr,
};
use serde_json::{Map, Value};

use super::{
    Attributes, CauseRow, ClientRow, Completion, DeviceData, DeviceEffect, DeviceRow, Effects, GroupRow,
    GroupRules, InboxRow, InterfaceRow, Lease, Lifecycle, NewAuditDecision, ReplyAddress, RepositoryChange,
    RepositoryRow, SyncState, column,
};

pub use dead_letters::SettledDeadLetters;
pub use device_names::{NewFormerHostname, RenamedDevice};
pub use history::NewHistory;
pub(crate) use syncs::Baseline;

/// What the store contains for the keys of a batch, with the changes of the batch so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    inbox: HashMap<MessageKey, Arc<InboxRow>>,
    devices: BTreeMap<Hostname, DeviceRow>,
    macs: HashMap<Mac, Hostname>,
    serials: HashMap<Serial, Hostname>,
    /// By folded hostname: the devices that the batch creates, and those whose name another key of the batch spells differently.
    spellings: HashMap<String, Hostname>,
    open_causes: HashMap<Hostname, Vec<CauseRow>>,
    links: links::LinkFacts,
    management_domains: management_domains::ManagementDomainFacts,
    names: device_names::NameFacts,
    syncs: syncs::SyncFacts,
    outside: access::Outside,
    new_inbox: Vec<Arc<InboxRow>>,
    new_causes: Vec<NewCause>,
    /// The first cause of each row of `new_inbox`, as an index into `new_causes`.
    first_causes: Vec<Option<usize>>,
    /// How many of `new_causes` there were when the last row was recorded: a cause behind may be that of the next row.
    recorded_causes: usize,
    history: Vec<NewHistory>,
    groups: Vec<GroupRow>,
    group_rules: Option<Arc<GroupRules>>,
    interfaces: Vec<InterfaceRow>,
    clients: Vec<ClientRow>,
    dead_letters: dead_letters::DeadLetterFacts,
    follow_ups: follow_ups::FollowUpFacts,
    audit: Vec<NewAuditDecision>,
    held: BTreeSet<Lease>,
    released: Vec<Lease>,
    repositories: BTreeMap<RepositoryName, RepositoryRow>,
    repository_changes: Vec<RepositoryChange>,
    now: Option<Timestamp>,
}

/// A cause to be written: one for each message and reason, however many devices it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCause {
    /// Why devices are unsynchronized.
    pub cause: Cause,
    /// The identity of the message that caused it.
    pub identity: Identity,
    /// The type of the message.
    pub kind: Kind,
    /// The authenticated sender of the message.
    pub actor: Option<SmolStr>,
    /// When the message was applied.
    pub at: Timestamp,
    /// The note of the operator who sent it.
    pub note: Option<String>,
    /// What the message says about it.
    pub detail: Option<Arc<CauseDetail>>,
}

/// What an operator or a message says about all effects of the message.
#[derive(Clone, Copy)]
struct Said<'a> {
    note: Option<&'a str>,
    detail: Option<&'a Arc<CauseDetail>>,
}

/// The devices whose flag a message changed, sorted.
pub type Flips = BTreeSet<Hostname>;

/// The message whose effects are applied to the facts.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    /// The identity of the message.
    pub identity: &'a Identity,
    /// The type of the message.
    pub kind: Kind,
    /// The authenticated sender of the message.
    pub actor: Option<&'a str>,
    /// When the message is applied.
    pub at: Timestamp,
    /// Where the results of its follow-ups go. `None` if it has no follow-ups.
    pub reply: Option<&'a ReplyAddress>,
}

/// Methods by which a store adds what it read.
impl Facts {
    /// Adds a message that was processed before.
    pub fn add_message(&mut self, row: InboxRow) {
        self.inbox.insert(row.key(), Arc::new(row));
    }

    /// Adds a lease that is held until the end of the transaction.
    pub fn add_lease(&mut self, lease: Lease) {
        self.held.insert(lease);
    }

    /// Adds a repository.
    pub fn add_repository(&mut self, row: RepositoryRow) {
        self.repositories.insert(row.name.clone(), row);
    }

    /// Adds the rules of groups.
    pub fn set_group_rules(&mut self, rules: Arc<GroupRules>) {
        self.group_rules = Some(rules);
    }

    /// Sets the time of the batch, by the store's clock.
    pub fn set_time(&mut self, now: Timestamp) {
        self.now = Some(now);
    }

    /// Adds a device.
    pub fn add_device(&mut self, row: DeviceRow) {
        self.add_owner(&row.hostname, &row.attributes);
        self.devices.insert(row.hostname.clone(), row);
    }

    /// Adds what the inventory says about a device, for `Keys::data_of`.
    pub fn add_data(&mut self, hostname: &Hostname, data: Map<String, Value>) {
        if let Some(row) = self.devices.get_mut(hostname) {
            row.data = Some(DeviceData {
                object: data,
                is_new: false,
            });
        }
    }

    /// Adds the device to which a MAC address belongs.
    pub fn add_mac(&mut self, mac: Mac, hostname: Hostname) {
        self.macs.insert(mac, hostname);
    }

    /// Adds the device to which a serial number belongs.
    pub fn add_serial(&mut self, serial: Serial, hostname: Hostname) {
        self.serials.insert(serial, hostname);
    }

    /// Adds a device by its name, for [`Facts::spelling_of`].
    pub fn add_spelling(&mut self, hostname: Hostname) {
        self.spellings.insert(hostname.folded(), hostname);
    }

    /// Adds an open cause of a device; the causes of a device are added in their order.
    pub fn add_open_cause(&mut self, hostname: Hostname, cause: CauseRow) {
        self.open_causes.entry(hostname).or_default().push(cause);
    }

    fn add_owner(&mut self, hostname: &Hostname, attributes: &Attributes) {
        if let Some(mac) = attributes.mac.clone() {
            self.macs.insert(mac, hostname.clone());
        }
        if let Some(serial) = attributes.serial.clone() {
            self.serials.insert(serial, hostname.clone());
        }
    }
}

/// Methods by which handlers read.
impl Facts {
    /// The inbox row of a message that was processed in an earlier batch, or earlier in this one.
    pub fn message(&self, message: &MessageKey) -> Option<&Arc<InboxRow>> {
        self.inbox.get(message)
    }

    /// When the batch began, by the store's clock, so that workers with different clocks agree. `None` if the store has no clock
    /// of its own.
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// Whether a lease was still held when the transaction began. No other worker can acquire it before the transaction ends.
    pub fn holds(&self, lease: &Lease) -> bool {
        self.held.contains(lease)
    }

    /// A repository, as stored.
    pub fn repository(&self, name: &RepositoryName) -> Option<&RepositoryRow> {
        self.repositories.get(name)
    }

    /// A device, with the changes of the batch so far.
    pub fn device(&self, hostname: &Hostname) -> Option<&DeviceRow> {
        self.devices.get(hostname)
    }

    /// The device with this hostname in another spelling, with respect to upper and lower case. It is read for the hostnames among
    /// the keys that no device has.
    pub fn spelling_of(&self, hostname: &Hostname) -> Option<&Hostname> {
        let spelling = self.spellings.get(&hostname.folded())?;
        (spelling != hostname).then_some(spelling)
    }

    /// The open causes of a device, with those of the batch so far, oldest first.
    pub fn open_causes(&self, hostname: &Hostname) -> Vec<CauseRow> {
        let Some(device) = self.devices.get(hostname) else {
            return Vec::new();
        };
        let stored = self.open_causes.get(hostname).filter(|_| !device.forgets_causes);
        let new = device
            .causes
            .iter()
            .map(|index| CauseRow::from(&self.new_causes[*index]));
        stored.into_iter().flatten().cloned().chain(new).collect()
    }

    /// The rules of groups of the accepted settings. `None` before the first ones are accepted, and if [`Keys::group_rules`](super::Keys)
    /// does not ask for them.
    pub fn group_rules(&self) -> Option<&Arc<GroupRules>> {
        self.group_rules.as_ref()
    }

    /// The device a MAC address belongs to.
    pub fn owner_of_mac(&self, mac: &Mac) -> Option<&Hostname> {
        self.macs.get(mac)
    }

    /// The device a serial number belongs to.
    pub fn owner_of_serial(&self, serial: &Serial) -> Option<&Hostname> {
        self.serials.get(serial)
    }
}

/// Methods by which a store reads what it has to write at the end of the batch.
impl Facts {
    /// Devices ordered by name. The fields of a row tell what changed.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceRow> {
        self.devices.values()
    }

    /// Inbox rows to be written.
    pub fn new_inbox(&self) -> &[Arc<InboxRow>] {
        &self.new_inbox
    }

    /// Causes to be written; [`DeviceRow::causes`] points into them.
    pub fn new_causes(&self) -> &[NewCause] {
        &self.new_causes
    }

    /// The first cause of each of the [inbox rows](Self::new_inbox), as an index into the causes: with the row and `cause` and `note`
    /// of the cause, the cause is complete.
    pub fn first_causes(&self) -> &[Option<usize>] {
        &self.first_causes
    }

    /// Entries of the audit to be added.
    pub fn new_audit(&self) -> &[NewAuditDecision] {
        &self.audit
    }

    /// Repositories to be written.
    pub fn repository_changes(&self) -> &[RepositoryChange] {
        &self.repository_changes
    }

    /// Leases to be released.
    pub fn released(&self) -> &[Lease] {
        &self.released
    }

    /// Groups to be created or updated.
    pub fn groups(&self) -> &[GroupRow] {
        &self.groups
    }

    /// Whether memberships in groups are to be written.
    pub(crate) fn change_members(&self) -> bool {
        self.devices()
            .any(|row| row.groups.is_some() || row.by_rule.is_some())
    }

    /// Interfaces to be created or updated; the last row for an interface counts.
    pub fn interfaces(&self) -> &[InterfaceRow] {
        &self.interfaces
    }

    /// Clients to be created or updated; the last row for a client counts.
    pub fn clients(&self) -> &[ClientRow] {
        &self.clients
    }
}

/// Methods that change the facts while the batch is processed.
impl Facts {
    /// Records the completion of a message, and returns its row as the store will give it back: the result is the same whenever it
    /// is made from it.
    pub fn record(&mut self, completion: impl Into<Completion>) -> Arc<InboxRow> {
        let Completion {
            row,
            dead_letter,
            follow_up,
            audit,
        } = completion.into();
        let row = Arc::new(row.into_stored());
        let caused = self.new_causes[self.recorded_causes..].first();
        let is_first = caused.is_some_and(|cause| cause.is_of(&row));
        self.first_causes.push(is_first.then_some(self.recorded_causes));
        self.recorded_causes = self.new_causes.len();
        self.inbox.insert(row.key(), row.clone());
        self.new_inbox.push(row.clone());
        if let Some(dead_letter) = dead_letter {
            self.write_dead_letter(dead_letter);
        }
        if let Some(key) = follow_up {
            self.finish_follow_up(key);
        }
        self.audit.extend(audit.map(|entry| *entry));
        row
    }

    /// Changes a repository.
    pub fn change_repository(&mut self, change: RepositoryChange) {
        self.repository_changes.push(change);
    }

    /// Releases a lease with the commit.
    pub fn release(&mut self, lease: Lease) {
        self.released.push(lease);
    }

    /// Applies the effects of a message, and returns the devices whose sync flag changed. Effects on unknown devices are
    /// ignored; handlers name only devices that they read or create.
    pub fn absorb(&mut self, effects: Effects, from: &Origin<'_>) -> Flips {
        let before: Vec<(Hostname, bool)> = effects
            .devices
            .iter()
            .filter_map(|effect| self.devices.get(effect.hostname()))
            .map(|row| (row.hostname.clone(), row.sync.synchronized()))
            .collect();
        let mut causes = Vec::new();
        let said = Said {
            note: effects.note.as_deref(),
            detail: effects.detail.as_ref(),
        };
        for effect in effects.devices {
            self.add_history(&effect, from, said.note);
            self.check(&effect, from.at);
            self.absorb_device(effect, from, said, &mut causes);
        }
        for change in effects.links {
            self.change_link(change);
        }
        for change in effects.management_domains {
            self.change_management_domain(change);
        }
        if let Some(dead_letters) = effects.dead_letters {
            self.dead_letters.settle(dead_letters, from);
        }
        self.cause_follow_ups(effects.follow_ups, from);
        self.groups.extend(effects.groups);
        self.interfaces.extend(effects.interfaces);
        self.clients.extend(effects.clients);
        before
            .into_iter()
            .filter_map(|(hostname, synchronized)| {
                let hostname = self.current_name(hostname)?;
                let row = self.devices.get(&hostname)?;
                (row.sync.synchronized() != synchronized).then_some(hostname)
            })
            .collect()
    }

    fn absorb_device(
        &mut self,
        effect: DeviceEffect,
        from: &Origin<'_>,
        said: Said<'_>,
        causes: &mut Vec<(Cause, usize)>,
    ) {
        if let DeviceEffect::Create {
            hostname,
            attributes,
            state,
            version,
        } = effect
        {
            let row = DeviceRow {
                id: None,
                hostname,
                attributes,
                lifecycle: Lifecycle {
                    state,
                    note: None,
                    until: None,
                    version,
                    since: Some(from.at),
                },
                sync: SyncState::SYNCHRONIZED,
                marked: None,
                groups: None,
                by_rule: None,
                data: None,
                causes: Vec::new(),
                forgets_causes: false,
                described: true,
                flagged: true,
            };
            self.add_spelling(row.hostname.clone());
            self.forget_former_name(&row.hostname);
            self.add_device(row);
            return;
        }
        if let DeviceEffect::Rename {
            hostname,
            to,
            version,
        } = effect
        {
            return self.rename(&hostname, to, version, from.at);
        }
        if let DeviceEffect::Remove { hostname, version } = effect {
            return self.remove(&hostname, version, from.at);
        }
        let cause = match &effect {
            DeviceEffect::Unsynchronize { cause, .. } => Some(self.cause(*cause, from, said, causes)),
            _ => None,
        };
        if let DeviceEffect::Describe { hostname, attributes } = &effect {
            self.add_owner(hostname, attributes);
        }
        let Some(row) = self.devices.get_mut(effect.hostname()) else {
            return;
        };
        match effect {
            DeviceEffect::Describe { attributes, .. } => row.describe(attributes),
            DeviceEffect::Move {
                state,
                note,
                until,
                version,
                ..
            } => row.r#move(state, note, until, version, from.at),
            DeviceEffect::Join { groups, .. } => row.groups = Some(groups),
            DeviceEffect::JoinByRule { groups, .. } => row.by_rule = Some(groups),
            DeviceEffect::SetData { data, .. } => {
                row.data = Some(DeviceData {
                    object: data,
                    is_new: true,
                });
            }
            DeviceEffect::Unsynchronize { .. } => row.unsynchronize(cause, from.at),
            DeviceEffect::ForgetCauses { .. } => row.forget_causes(),
            DeviceEffect::SynchronizeTo { generation, .. } => row.synchronize_to(generation),
            // The first three are done above; the others are written apart from the row.
            DeviceEffect::Create { .. }
            | DeviceEffect::Rename { .. }
            | DeviceEffect::Remove { .. }
            | DeviceEffect::CheckConfiguration { .. }
            | DeviceEffect::AcceptConfiguration { .. }
            | DeviceEffect::ForgetConfiguration { .. } => {}
            DeviceEffect::Synchronize { .. } => row.synchronize(from, said.note),
        }
    }

    /// The index of this message's cause, which is created on first use.
    fn cause(
        &mut self,
        cause: Cause,
        from: &Origin<'_>,
        said: Said<'_>,
        created: &mut Vec<(Cause, usize)>,
    ) -> usize {
        if let Some((_, index)) = created.iter().find(|(other, _)| *other == cause) {
            return *index;
        }
        let index = self.new_causes.len();
        self.new_causes.push(NewCause {
            cause,
            identity: from.identity.clone(),
            kind: from.kind,
            actor: from.actor.map(SmolStr::from),
            at: from.at,
            note: said.note.map(str::to_owned),
            detail: said.detail.cloned(),
        });
        created.push((cause, index));
        index
    }
}

impl NewCause {
    /// Whether the row says the same of the message: then it need not be said again.
    fn is_of(&self, row: &InboxRow) -> bool {
        let at = |time| column::microseconds(time);
        self.identity == row.identity
            && self.actor == row.actor
            && self.kind.as_str() == row.kind
            && at(self.at) == at(row.at)
    }
}

impl From<&NewCause> for CauseRow {
    fn from(cause: &NewCause) -> Self {
        Self {
            cause: cause.cause.as_str().to_owned(),
            identity: cause.identity.clone(),
            kind: cause.kind.as_str().to_owned(),
            actor: cause.actor.as_deref().map(str::to_owned),
            at: cause.at,
            note: cause.note.clone(),
            detail: cause.detail.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
