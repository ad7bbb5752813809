use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;

use async_trait::async_trait;
use lockstep_protocol::{ElementOutcome, EntityType, GroupName, InterfaceName, Level, Mac};
use serde_json::Value;

use super::{
    CheckRow, DeviceId, ElementRow, EntityResult, ExecutionRow, FactRow, Group, GroupRuleSummary, StoreError,
    TaskRow,
};

/// What belongs to each of several entities, by their ids. An entity with nothing may be absent.
pub type Pages<T> = HashMap<u64, Vec<T>>;

/// Reads entities, and pages of what belongs to entities, for any number of them at once: each call is one statement, except where it
/// says otherwise.
#[async_trait]
pub trait Entities: Debug + Send + Sync + 'static {
    /// A page of all interfaces, ordered by id.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn interfaces(&self, page: &Page<u64>) -> Result<Vec<Interface>, StoreError>;

    /// The interfaces with these ids. Those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn interfaces_by_id(&self, ids: &[u64]) -> Result<Vec<Interface>, StoreError>;

    /// A page of the interfaces of each device, ordered by name (by bytes).
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn interfaces_of_devices(
        &self,
        devices: &[u64],
        page: &Page<String>,
    ) -> Result<Pages<Interface>, StoreError>;

    /// A page of all clients, ordered by id.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn clients(&self, page: &Page<u64>) -> Result<Vec<Client>, StoreError>;

    /// The clients with these ids. Those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn clients_by_id(&self, ids: &[u64]) -> Result<Vec<Client>, StoreError>;

    /// The client with this MAC address.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn client(&self, mac: &Mac) -> Result<Option<Client>, StoreError>;

    /// A page of the clients of each of these entities, ordered by id.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn clients_of(
        &self,
        of: ClientsOf,
        ids: &[u64],
        page: &Page<u64>,
    ) -> Result<Pages<Client>, StoreError>;

    /// A page of all groups, ordered by name (by bytes). DEFAULT is one of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn group_entities(&self, page: &Page<String>) -> Result<Vec<GroupEntity>, StoreError>;

    /// The groups with these ids. Those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn groups_by_id(&self, ids: &[u64]) -> Result<Vec<GroupEntity>, StoreError>;

    /// The group with this name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn group_named(&self, name: &GroupName) -> Result<Option<GroupEntity>, StoreError>;

    /// The groups with these names, with the numbers of their members. Those that do not exist are left out. Several statements, however many
    /// groups there are.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn groups_by_name(&self, names: &[GroupName]) -> Result<Vec<Group>, StoreError>;

    /// A page of the groups of each device, ordered by name (by bytes).
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn groups_of_devices(
        &self,
        devices: &[u64],
        page: &Page<String>,
    ) -> Result<Pages<GroupEntity>, StoreError>;

    /// A page of the ids of all devices, in their order.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn device_ids(&self, page: &Page<u64>) -> Result<Vec<u64>, StoreError>;

    /// A page of the ids of the devices of each group, in their order.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn devices_of_groups(&self, groups: &[u64], page: &Page<u64>) -> Result<Pages<u64>, StoreError>;

    /// A page of the newest facts about each of these entities, ordered by key (by bytes).
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn facts_of(
        &self,
        entity_type: EntityType,
        ids: &[u64],
        page: &Page<String>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<FactRow>>, StoreError>;

    /// A page of the newest checks of each of these entities, ordered by key (by bytes).
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn checks_of(
        &self,
        entity_type: EntityType,
        ids: &[u64],
        page: &Page<String>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<CheckRow>>, StoreError>;

    /// A page of the elements of each execution, ordered by number.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn elements_of_executions(
        &self,
        executions: &[u64],
        filter: ElementFilter,
        page: &Page<u64>,
    ) -> Result<Pages<ElementRow>, StoreError>;

    /// A page of the elements on each device or on something of it, by the numbers of their executions and their own, newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn elements_of_devices(
        &self,
        devices: &[u64],
        page: &Page<(u64, u64)>,
    ) -> Result<Pages<ElementRow>, StoreError>;

    /// A page of the numbers of the executions with an element on each device or on something of it, newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn executions_of_devices(
        &self,
        devices: &[u64],
        page: &Page<u64>,
    ) -> Result<Pages<u64>, StoreError>;

    /// The executions with these numbers, without the entities that were requested. Those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn executions_by_number(&self, numbers: &BTreeSet<u64>) -> Result<Vec<ExecutionRow>, StoreError>;

    /// What the provider returned of each element: null before its end.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn data_of_elements(
        &self,
        elements: &[u64],
        budget: &mut ByteBudget,
    ) -> Result<HashMap<u64, Bounded<Value>>, StoreError>;

    /// A page of the results of the entities of each element, ordered by phase, level (by bytes) and id.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn results_of_elements(
        &self,
        elements: &[u64],
        page: &Page<ResultPosition>,
        budget: &mut ByteBudget,
    ) -> Result<Pages<Bounded<EntityResult>>, StoreError>;

    /// The device that each element is or belongs to. Elements without one are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn devices_of_elements(&self, elements: &[u64]) -> Result<HashMap<u64, DeviceId>, StoreError>;

    /// The tasks with these numbers. Those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn tasks_by_number(&self, numbers: &[u64]) -> Result<Vec<TaskRow>, StoreError>;

    /// The tasks with these names. Those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn tasks_by_name(&self, names: &[String]) -> Result<Vec<TaskRow>, StoreError>;

    /// How many entities each of these has, on all pages. One with none may be absent.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn counts(&self, relation: Relation, ids: &[u64]) -> Result<HashMap<u64, u64>, StoreError>;

    /// How many there are in all. Reads all of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn total(&self, of: TotalOf) -> Result<u64, StoreError>;
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page<P> {
    /// The position of the last entry of the page before. `None` for the first page.
    pub after: Option<P>,
    /// The most entries; of each entity, if they belong to several.
    pub limit: u32,
}

/// How many bytes of JSON may still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteBudget(pub u64);

/// A row with JSON that may have been too large.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounded<T> {
    /// The row. Its JSON is null if it is not whole.
    pub row: T,
    /// Whether its JSON was within the [`ByteBudget`], together with that of the rows before it.
    pub is_whole: bool,
}

/// An interface of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its stable number.
    pub id: u64,
    /// Its device.
    pub device: DeviceId,
    /// Its name, unique in its device.
    pub name: InterfaceName,
}

/// A client of an interface or of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its stable number.
    pub id: u64,
    /// Its MAC address, which identifies it.
    pub mac: Mac,
    /// Its name, for people.
    pub name: Option<String>,
    /// Its IP address.
    pub ip: Option<IpAddr>,
    /// The id of the interface that it is behind.
    pub interface: Option<u64>,
    /// The id of the group that it belongs to.
    pub group: Option<u64>,
}

/// A group of devices, without the numbers of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntity {
    /// Its stable number. `None` for DEFAULT, if neither the settings nor an inventory name it.
    pub id: Option<u64>,
    /// Its unique name.
    pub name: GroupName,
    /// Whether it is a location. `None` if that is not known.
    pub location: Option<bool>,
    /// Its rule; the number of the hostnames that it lists is 0. `None` if the accepted settings do not define it.
    pub rule: Option<GroupRuleSummary>,
}

/// What clients belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientsOf {
    /// They are behind interfaces.
    Interface,
    /// They belong to groups.
    Group,
    /// They are behind the interfaces of devices.
    Device,
}

/// Which elements are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ElementFilter {
    /// All.
    #[default]
    All,
    /// Those that have not ended.
    Open,
    /// Those of which this became.
    Outcome(ElementOutcome),
}

/// The place of a result among those of its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResultPosition {
    /// The index of the phase.
    pub phase: u8,
    /// The level.
    pub level: Level,
    /// The id of the entity.
    pub entity: u64,
}

/// What is counted for each of several entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The interfaces of devices.
    InterfacesOfDevices,
    /// The clients of entities.
    Clients(ClientsOf),
    /// The groups of devices.
    GroupsOfDevices,
    /// The devices of groups.
    DevicesOfGroups,
    /// The keys of facts about entities of a kind.
    Facts(EntityType),
    /// The keys of checks of entities of a kind.
    Checks(EntityType),
    /// The elements on devices.
    ElementsOfDevices,
    /// The executions with elements on devices.
    ExecutionsOfDevices,
    /// The results of elements.
    ResultsOfElements,
}

/// What is counted in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TotalOf {
    /// Devices.
    Devices,
    /// Interfaces.
    Interfaces,
    /// Clients.
    Clients,
    /// Groups, with DEFAULT.
    Groups,
    /// Tasks.
    Tasks,
}
