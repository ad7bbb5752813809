use std::fmt::Debug;
use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, EntityType, GroupName, Hostname, Level};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ElementOwner, ManagementEndpoint};
use crate::StoreError;

/// Reads and writes what the run cycle needs beside elements: the entities of an element, results of entities, facts, checks, and the
/// journal of steps.
#[async_trait]
pub trait RunCycle: Debug + Send + Sync + 'static {
    /// The entities that an element runs on, at these levels, in one snapshot.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn unit(&self, element: u64, levels: UnitLevels) -> Result<UnitEntities, StoreError>;

    /// A page of the results of the entities of an execution, ordered by the ids of the entities.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn entity_results(&self, query: &EntityResultQuery) -> Result<Vec<EntityResult>, StoreError>;

    /// The results of the entities of an element in all phases, ordered by phase, level and entity.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn results_of(&self, element: u64) -> Result<Vec<EntityResult>, StoreError>;

    /// The newest facts about an entity, ordered by key; with a key, all its values, the newest first, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn facts(
        &self,
        entity_type: EntityType,
        entity: u64,
        key: Option<&str>,
        limit: u32,
    ) -> Result<Vec<super::FactRow>, StoreError>;

    /// The newest checks of an entity, ordered by key; with a key, all of them, the newest first, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn checks(
        &self,
        entity_type: EntityType,
        entity: u64,
        key: Option<&str>,
        limit: u32,
    ) -> Result<Vec<CheckRow>, StoreError>;

    /// The names of the entities of a kind in or below another one (devices of a group, interfaces of a device), and the newest result of the
    /// check with this key of each. Ordered by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn checks_below(
        &self,
        entity_type: EntityType,
        entity: u64,
        below: EntityType,
        key: &str,
    ) -> Result<Vec<(String, Option<CheckRow>)>, StoreError>;

    /// The attributes of an entity as a JSON object. `None` if there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn attributes(&self, entity_type: EntityType, entity: u64) -> Result<Option<Value>, StoreError>;

    /// Writes steps that began or ended into the journal, of elements that this worker runs under a time that is not over. Returns the
    /// elements that it does not run: nothing is written about them.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn write_journal(
        &self,
        owner: ElementOwner,
        entries: &[JournalEntry],
    ) -> Result<Vec<u64>, StoreError>;

    /// The journal of an element in a stage, ordered by level and entity.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn journal(&self, element: u64, stage: u16) -> Result<Vec<JournalEntry>, StoreError>;
}

/// What [`RunCycle::unit`] reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitLevels {
    /// The groups of its devices, with their pre-run results in this phase, and that of the fleet.
    pub above: Option<u8>,
    /// Interfaces of devices.
    pub interfaces: bool,
    /// Clients, of interfaces or of the group.
    pub clients: bool,
    /// The element is an item, which has nothing above it but the fleet, and nothing below it.
    pub item: bool,
}

/// The entities of an element.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitEntities {
    /// The entities above it: the fleet, groups. With their pre-run results.
    pub above: Vec<(UnitEntity, Value)>,
    /// The entities, parents before children, ordered by name within their parent. For a device that is connected to, the first one is that at
    /// level `NORNIR_DEVICE`. Each is followed by all below it. None for the fleet and for items, which are all that is run on.
    pub entities: Vec<UnitEntity>,
}

/// An entity of an element.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitEntity {
    /// Its level.
    pub level: Level,
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The index of its parent among the entities.
    pub parent: Option<usize>,
    /// If it is a device: where it is.
    pub device: Option<UnitDevice>,
}

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitDevice {
    /// Its hostname.
    pub hostname: Hostname,
    /// The address by which it is managed.
    pub management_ip: Option<IpAddr>,
    /// What its data says about where it is reached.
    pub endpoint: ManagementEndpoint,
    /// Its platform, such as `eos`.
    pub platform: Option<String>,
    /// Its groups.
    pub groups: Vec<GroupName>,
}

/// What the steps of a phase came to for one entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityResult {
    /// The index of the phase.
    pub phase: u8,
    /// Its level.
    pub level: Level,
    /// The id of the entity.
    pub entity: u64,
    /// The name of the entity.
    pub name: String,
    /// The id of the entity above it.
    pub parent: Option<u64>,
    /// Its state. PENDING if only its pre-run step ended.
    pub state: ElementState,
    /// Why it failed or was skipped: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether something changed, or would have in a dry run.
    pub changed: bool,
    /// What its pre-run step returned.
    pub pre_run: Value,
    /// What its run step returned.
    pub data: Value,
}

/// Filters and page of the results of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityResultQuery {
    /// The number of the execution.
    pub execution: u64,
    /// The phase.
    pub phase: u8,
    /// The level.
    pub level: Level,
    /// Only devices of the group with this id, or entities directly below the entity with this id.
    pub of: Option<u64>,
    /// Only entities with a larger id.
    pub after: Option<u64>,
    /// The most results.
    pub limit: u32,
}

/// A check of an entity to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCheck {
    /// The kind of entity.
    pub entity_type: EntityType,
    /// The id of the entity.
    pub entity: u64,
    /// Its key.
    pub key: String,
    /// `ok`, `nok` or `failed`.
    pub result: String,
    /// Why, for people.
    pub reason: Option<String>,
    /// What it measured: any JSON.
    pub metrics: Value,
}

/// A check of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRow {
    /// Its key.
    pub key: String,
    /// `ok`, `nok` or `failed`.
    pub result: String,
    /// Why, for people.
    pub reason: Option<String>,
    /// What it measured.
    pub metrics: Value,
    /// When it was performed.
    pub at: Timestamp,
    /// The number of the element that performed it.
    pub element: u64,
}

/// A step of an element that began or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalEntry {
    /// The number of the element.
    pub element: u64,
    /// The stage.
    pub stage: u16,
    /// The level of the entity.
    pub level: Level,
    /// The id of the entity.
    pub entity: u64,
    /// Whether it is a pre-run step.
    pub pre_run: bool,
    /// The result after the step. `None` if the step began and has not ended.
    pub result: Option<EntityResult>,
    /// The facts that the step returned, by key.
    pub facts: Vec<(String, Value)>,
}

/// A task that runs before or after another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseTask {
    /// Its name.
    pub task: String,
    /// The name of its provider.
    pub provider: String,
    /// The arguments that it had.
    pub arguments: Value,
    /// The arguments of its run: the defaults of its own.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub run_arguments: Value,
    /// The kind of entity that it runs on.
    pub run_on: ExecuteOn,
}
