use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use lockstep_http::ReadScope;
use lockstep_store::{ElementFilter, ElementRow, ExecutionRow, Page, Pages, Relation, StoreError};
use serde_json::Value;

use super::connection::{Arguments, List, cost, nested};
use super::date_time::DateTime;
use super::device::{self, Device};
use super::entity_type::EntityType;
use super::execution::Execution;
use super::field::{load, may_read, whole};
use super::loads::{Counted, ElementDataKey, ElementDeviceKey, ExecutionKey, Loads, PageOf};
use super::result::{ElementResult, ResultsOfElement};
use super::stage::Stage;
use super::state::{ElementOutcome, ElementState};

/// One entity inside one execution.
#[derive(Debug)]
pub(crate) struct Element(pub(super) Arc<ElementRow>);

/// The elements of executions.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ElementsOfExecution(pub(super) ElementFilter);

/// The elements on devices.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ElementsOnDevice;

impl PageOf for ElementsOfExecution {
    const SCOPE: ReadScope = ReadScope::Executions;
    type Position = u64;
    type Row = ElementRow;
    type Node = Element;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<u64>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        let store = &loads.context().entities;
        store.elements_of_executions(ids, self.0, page).await
    }

    fn position(element: &ElementRow) -> u64 {
        element.number
    }

    fn node(element: Arc<ElementRow>) -> Option<Element> {
        Some(Element(element))
    }
}

impl PageOf for ElementsOnDevice {
    const SCOPE: ReadScope = ReadScope::Executions;
    type Position = (u64, u64);
    type Row = ElementRow;
    type Node = Element;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<(u64, u64)>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        loads.context().entities.elements_of_devices(ids, page).await
    }

    fn position(element: &ElementRow) -> (u64, u64) {
        (element.execution, element.number)
    }

    fn node(element: Arc<ElementRow>) -> Option<Element> {
        Some(Element(element))
    }
}

impl Counted for ElementsOnDevice {
    fn relation(&self) -> Relation {
        Relation::ElementsOfDevices
    }
}

#[Object]
impl Element {
    /// Its stable number, unique among all elements.
    async fn id(&self) -> ID {
        self.0.number.into()
    }

    /// The kind of entity.
    async fn entity_type(&self) -> EntityType {
        self.0.entity_type.into()
    }

    /// The id of the entity; 0 for the whole fleet.
    async fn entity_id(&self) -> ID {
        self.0.entity.into()
    }

    /// The name that the entity had.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The device that it is or belongs to, by the hostname that it had.
    async fn hostname(&self) -> Option<&str> {
        self.0.hostname.as_ref().map(lockstep_protocol::Hostname::as_str)
    }

    /// The device that it is or belongs to; null if there is none, or none any more.
    async fn device(&self, context: &Context<'_>) -> Option<Result<Device>> {
        self.load_device(context).await.transpose()
    }

    /// Its execution; null if it was deleted meanwhile.
    async fn execution(&self, context: &Context<'_>) -> Option<Result<Execution>> {
        let execution = self.load_execution(context).await.transpose();
        execution.map(|row| row.map(|row| Execution(ExecutionRow::clone(&row))))
    }

    /// Its state.
    async fn state(&self) -> ElementState {
        self.0.state.into()
    }

    /// What became of it; null before its end.
    async fn outcome(&self) -> Option<ElementOutcome> {
        self.0.state.outcome().map(ElementOutcome::from)
    }

    /// The stage that it runs in next, or ended in.
    async fn stage(&self, context: &Context<'_>) -> Option<Result<Stage>> {
        let execution = self.load_execution(context).await.transpose()?;
        let stage = execution.map(|row| Stage::at(&row.request, self.0.stage));
        stage.transpose()
    }

    /// What it waits for, such as `device/sw1`, `group/oslo`, `overall`, `stop` or `parked`; null if it does not wait, or only for a worker.
    async fn waits_for(&self) -> Option<String> {
        self.0.waits_for.as_ref().map(ToString::to_string)
    }

    /// When it runs again, if it is parked.
    async fn resume_at(&self) -> Option<DateTime> {
        self.0.parked.map(|parked| DateTime(parked.resume_at))
    }

    /// When it is skipped instead.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.parked.map(|parked| DateTime(parked.expires_at))
    }

    /// Why it failed or was skipped: a word for programs.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// What happened, for people.
    async fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Whether it changed something. False in a dry run.
    async fn changed(&self, context: &Context<'_>) -> Option<Result<bool>> {
        Some(self.changed_in(context, false).await)
    }

    /// Whether it would change something: what a dry run found out. False if it was no dry run.
    async fn will_change(&self, context: &Context<'_>) -> Option<Result<bool>> {
        Some(self.changed_in(context, true).await)
    }

    /// How often it began.
    async fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// When it began last.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }

    /// When it ended.
    async fn ended_at(&self) -> Option<DateTime> {
        self.0.ended_at.map(DateTime)
    }

    /// What its provider returned; null before its end. Untrusted: it has whatever the device said.
    #[graphql(complexity = 10)]
    async fn result(&self, context: &Context<'_>) -> Option<Result<Value>> {
        Some(self.load_result(context).await)
    }

    /// What the steps came to for each of its entities, ordered by phase, level and id. Empty if the element is the only result.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn results(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Option<Result<List<ElementResult>>> {
        Some(
            nested(
                context,
                ResultsOfElement,
                self.0.number,
                Arguments { first, after },
            )
            .await,
        )
    }
}

impl Element {
    async fn load_execution(&self, context: &Context<'_>) -> Result<Option<Arc<ExecutionRow>>> {
        may_read(context, ReadScope::Executions)?;
        load(context, ExecutionKey(self.0.execution)).await
    }

    async fn load_device(&self, context: &Context<'_>) -> Result<Option<Device>> {
        may_read(context, ReadScope::Devices)?;
        match load(context, ElementDeviceKey(self.0.number)).await? {
            Some(device) => device::by_id(context, device).await,
            None => Ok(None),
        }
    }

    /// Whether it changed something, if its execution was a dry run, or was none.
    async fn changed_in(&self, context: &Context<'_>, dry_run: bool) -> Result<bool> {
        if !self.0.changed {
            return Ok(false);
        }
        let execution = self.load_execution(context).await?;
        Ok(execution.is_some_and(|row| row.request.requested.dry_run == dry_run))
    }

    async fn load_result(&self, context: &Context<'_>) -> Result<Value> {
        may_read(context, ReadScope::DeviceOutput)?;
        match load(context, ElementDataKey(self.0.number)).await? {
            Some(data) => whole(&data, |data| data),
            None => Ok(Value::Null),
        }
    }
}
