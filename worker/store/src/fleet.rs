use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{CauseDetail, DeviceState, DeviceType, GroupName, Hostname, Identity};

use super::{
    AgeQuery, Ages, Attributes, DEFAULT_GROUP, DeviceCount, DeviceRow, Group, GroupQuery, HistoryEntry,
    HistoryPosition, Lifecycle, Mark, StoreError, Surroundings, SyncState,
};

/// The most open causes that a device keeps; when another one is added, the oldest is removed from the list.
pub(super) const OPEN_CAUSES: usize = 32;

/// Reads the fleet.
///
/// A [`Device`] is read in one snapshot: its flag, its generations and the ids of its open causes belong together. Groups
/// and causes are read on request, in one call for any number of devices:
///
/// - A cause never changes once it is written, so a later call still returns the causes that were open in that snapshot. A
///   cause is absent from the answer only where it was closed and deleted by [`Retention`](super::Retention) in between.
/// - Groups are those at the time of the call; they may be newer than the device.
#[async_trait]
pub trait Fleet: Debug + Send + Sync + 'static {
    /// The devices that match the query, ordered by hostname (by bytes).
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn devices(&self, query: &DeviceQuery) -> Result<Vec<Device>, StoreError>;

    /// How many devices match the filters of the query, on all pages. Reads all devices.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn count_devices(&self, query: &DeviceQuery) -> Result<u64, StoreError>;

    /// The device with this hostname; upper and lower case differ.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn device(&self, hostname: &Hostname) -> Result<Option<Device>, StoreError>;

    /// The devices with these ids. Those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn devices_by_id(&self, ids: &[DeviceId]) -> Result<Vec<Device>, StoreError>;

    /// The groups of each of these devices, ordered by name. A device without groups is absent.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn groups_of(&self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Vec<GroupName>>, StoreError>;

    /// One page of the groups, ordered by name (by bytes), with the numbers of their members. DEFAULT is one of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn groups(&self, query: &GroupQuery) -> Result<Vec<Group>, StoreError>;

    /// The group with this name; upper and lower case differ.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn group(&self, name: &GroupName) -> Result<Option<Group>, StoreError>;

    /// The causes with these ids, such as [`Device::open_causes`], without their details. An id without a cause is absent.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError>;

    /// How old unsynchronized flags or states are, in one snapshot. Reads all devices that match, in constant memory.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn ages(&self, query: &AgeQuery) -> Result<Ages, StoreError>;

    /// What belongs to a device and where its links lead: what goes when it is removed. `None` if there is no such device.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn surroundings(&self, hostname: &Hostname) -> Result<Option<Surroundings>, StoreError>;

    /// How many devices there are of each type and state, ordered by both; without those of which there are none. Reads all devices.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn device_counts(&self) -> Result<Vec<DeviceCount>, StoreError>;

    /// As [`causes`](Self::causes), with their details: for one device, since each may have some hundred kilobytes.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn detailed_causes(&self, ids: &[CauseId]) -> Result<HashMap<CauseId, CauseRow>, StoreError>;

    /// What happened to a device, newest first: rows of its history, the causes that they closed, and its open causes. `before` is the
    /// position of the last entry of the page before.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn history(
        &self,
        device: &Device,
        before: Option<HistoryPosition>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, StoreError>;
}

/// Filters and page of a list of devices. A device must match all filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceQuery {
    /// Only devices that are synchronized, or only those that are not.
    pub synchronized: Option<bool>,
    /// Only devices in this state.
    pub state: Option<DeviceState>,
    /// Only devices of this type.
    pub device_type: Option<DeviceType>,
    /// Only members of this group, by list or by rule. Every device is a member of DEFAULT.
    pub group: Option<GroupName>,
    /// Only devices whose hostname sorts after this one: where the next page begins.
    pub after: Option<Hostname>,
    /// The most devices to return; 0 returns none.
    pub limit: u32,
}

/// The filters of a query as the columns hold them.
pub(crate) struct DeviceFilters<'a> {
    pub(crate) synchronized: Option<bool>,
    pub(crate) state: Option<&'static str>,
    pub(crate) device_type: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
}

impl<'a> DeviceFilters<'a> {
    pub(crate) fn of(query: &'a DeviceQuery) -> Self {
        Self {
            synchronized: query.synchronized,
            state: query.state.map(DeviceState::as_str),
            device_type: query.device_type.as_ref().map(DeviceType::as_str),
            group: query
                .group
                .as_ref()
                .map(GroupName::as_str)
                .filter(|name| *name != DEFAULT_GROUP),
        }
    }
}

impl DeviceQuery {
    /// Whether this is the first page of a list with a filter. If many devices match, the first ones by hostname fill it. If
    /// few do, reading all devices in the order of storage is several times faster than going through all by hostname. Later
    /// pages go on by hostname: the first one was full.
    pub(super) fn begins_filtered(&self) -> bool {
        let filtered = self.synchronized.is_some()
            || self.state.is_some()
            || self.device_type.is_some()
            || self
                .group
                .as_ref()
                .is_some_and(|name| name.as_str() != DEFAULT_GROUP);
        filtered && self.after.is_none()
    }

    /// How many devices by hostname are tried first.
    pub(super) fn tried(&self) -> u32 {
        self.limit.saturating_mul(10)
    }
}

/// The number that the store gave to a device. It stays the same as long as the device exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub i64);

impl DeviceId {
    /// The number as that of an entity.
    pub fn number(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

/// The number that the store gave to a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CauseId(pub i64);

/// A device as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The key of its groups.
    pub id: DeviceId,
    /// Unique in the fleet.
    pub hostname: Hostname,
    /// What the device is: type, model, addresses.
    pub attributes: Attributes,
    /// The state, with note and end.
    pub lifecycle: Lifecycle,
    /// The desired and the synchronized generation.
    pub sync: SyncState,
    /// Who last marked it as synchronized.
    pub marked: Option<Mark>,
    /// Its primary group by the accepted settings. `None` if it is not known.
    pub primary_group: Option<GroupName>,
    /// When a sync compared it with its intended configuration last.
    pub checked_at: Option<Timestamp>,
    /// Why it is not synchronized: the newest 32 causes, oldest first. Empty for a synchronized device.
    pub open_causes: Vec<CauseId>,
}

/// Why devices stopped being synchronized: one row for each message and reason, shared by all devices concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseRow {
    /// The reason, such as `interface_updated`: text, because a newer worker may know more reasons.
    pub cause: String,
    /// The message that caused it.
    pub identity: Identity,
    /// The type of that message.
    pub kind: String,
    /// The authenticated sender of that message.
    pub actor: Option<String>,
    /// When the message was applied.
    pub at: Timestamp,
    /// The note of the operator who sent it.
    pub note: Option<String>,
    /// What the message says about it, such as the commit that was accepted. `None` if it says nothing, or was not asked for.
    pub detail: Option<Arc<CauseDetail>>,
}

impl DeviceRow {
    /// The stored part of a row that was just read.
    pub(super) fn stored(
        self,
        id: DeviceId,
        open_causes: Vec<CauseId>,
        primary_group: Option<GroupName>,
        checked_at: Option<Timestamp>,
    ) -> Device {
        Device {
            id,
            hostname: self.hostname,
            attributes: self.attributes,
            lifecycle: self.lifecycle,
            sync: self.sync,
            marked: self.marked,
            primary_group,
            checked_at,
            open_causes,
        }
    }
}
