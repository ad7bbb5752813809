use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementOutcome, ElementState, EntityType, ExecutionState, Hostname};
use serde_json::Value;
use uuid::Uuid;

use super::{CapScope, ElementOwner, ExecutionRow, NamedEntities, ParkedElement, RenewedElements, StopRow};
use crate::StoreError;

/// Reads executions and their elements, and renews running elements.
#[async_trait]
pub trait Executions: Debug + Send + Sync + 'static {
    /// The executions that match the query, newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn executions(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRow>, StoreError>;

    /// How many executions match the filters of the query, on all pages.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn count_executions(&self, query: &ExecutionQuery) -> Result<u64, StoreError>;

    /// One execution.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn execution(&self, reference: &ExecutionReference) -> Result<Option<ExecutionRow>, StoreError>;

    /// A page of the elements of an execution, ordered by number. The cost of a page does not depend on how far it is from the first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn elements(&self, query: &ElementQuery) -> Result<Vec<ElementRow>, StoreError>;

    /// One element, with the whole result of its provider.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn element(&self, number: u64) -> Result<Option<ElementDetail>, StoreError>;

    /// The entities of a kind with these names.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn named(&self, kind: ExecuteOn, names: &[String]) -> Result<NamedEntities, StoreError>;

    /// The names of the entities of a kind with these ids. Those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn names(&self, kind: ExecuteOn, ids: &BTreeSet<u64>) -> Result<BTreeMap<u64, String>, StoreError>;

    /// Whether all executions are stopped.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn stopped(&self) -> Result<Option<StopRow>, StoreError>;

    /// Extends the time of the running elements of a worker, and of the leases of their devices, to `time` from now, in a transaction of
    /// its own.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn renew_elements(
        &self,
        owner: ElementOwner,
        time: std::time::Duration,
    ) -> Result<RenewedElements, StoreError>;
}

/// Names an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionReference {
    /// By its number.
    Number(u64),
    /// By its id.
    Id(Uuid),
}

/// Filters and page of a list of executions. An execution must match all filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionQuery {
    /// Only executions in this state.
    pub state: Option<ExecutionState>,
    /// Only executions of the task with this name.
    pub task: Option<String>,
    /// Only executions with an element on this device.
    pub hostname: Option<Hostname>,
    /// Only executions that the execution with this number began as steps of a workflow.
    pub parent: Option<u64>,
    /// Only executions with a smaller number: the last one of the page before.
    pub before: Option<u64>,
    /// The most executions.
    pub limit: u32,
}

/// Filters and page of a list of elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElementQuery {
    /// The number of the execution.
    pub execution: u64,
    /// Only elements of which this became.
    pub outcome: Option<ElementOutcome>,
    /// Only elements that have not ended.
    pub open: bool,
    /// Only elements with a larger number: the last one of the page before.
    pub after: Option<u64>,
    /// The most elements.
    pub limit: u32,
}

/// An element, without the result of its provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementRow {
    /// The number of its row.
    pub number: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The kind of entity.
    pub entity_type: EntityType,
    /// The id of the entity.
    pub entity: u64,
    /// The name of the entity.
    pub name: String,
    /// The device that it is or belongs to, by the hostname that it had.
    pub hostname: Option<Hostname>,
    /// Its state.
    pub state: ElementState,
    /// The stage in which it runs next, or ended: an index of the plan of its execution.
    pub stage: u16,
    /// What it waits for. `None` if it does not wait, or only for a worker.
    pub waits_for: Option<CapScope>,
    /// How long it is parked, if it is.
    pub parked: Option<ParkedElement>,
    /// Why it failed or was skipped: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether it changed something, or would have in a dry run.
    pub changed: bool,
    /// How often it began.
    pub attempts: u32,
    /// When it began last.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// An element with the result of its provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementDetail {
    /// The element.
    pub row: ElementRow,
    /// The result of the provider; null before the end.
    pub data: Value,
}

/// A fact about an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct FactRow {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// When it was found.
    pub at: Timestamp,
    /// The number of the element that found it.
    pub element: u64,
}
