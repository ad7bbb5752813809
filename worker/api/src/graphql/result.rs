use std::sync::Arc;

use async_graphql::{ID, Object, Result};
use lockstep_http::ReadScope;
use lockstep_store::{Bounded, EntityResult, Page, Pages, Relation, ResultPosition, StoreError};
use serde_json::Value;

use super::field::whole;
use super::loads::{Counted, Loads, PageOf};
use super::state::{ElementOutcome, ElementState};

/// What the steps of a task came to for one entity of an element.
#[derive(Debug)]
pub(crate) struct ElementResult(Arc<Bounded<EntityResult>>);

/// The results of the entities of elements.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ResultsOfElement;

impl PageOf for ResultsOfElement {
    const SCOPE: ReadScope = ReadScope::DeviceOutput;
    type Position = ResultPosition;
    type Row = Bounded<EntityResult>;
    type Node = ElementResult;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<ResultPosition>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        let mut budget = loads.budget().await;
        let store = &loads.context().entities;
        store.results_of_elements(ids, page, &mut budget).await
    }

    fn position(result: &Self::Row) -> ResultPosition {
        ResultPosition {
            phase: result.row.phase,
            level: result.row.level,
            entity: result.row.entity,
        }
    }

    fn node(result: Arc<Self::Row>) -> Option<ElementResult> {
        Some(ElementResult(result))
    }
}

impl Counted for ResultsOfElement {
    fn relation(&self) -> Relation {
        Relation::ResultsOfElements
    }
}

#[Object]
impl ElementResult {
    /// The index of the phase: the pre-tasks first, then the task itself, then the post-tasks.
    async fn phase(&self) -> u8 {
        self.0.row.phase
    }

    /// The level of the entity, such as `DEVICE` or `INTERFACE_CLIENT`.
    async fn level(&self) -> &str {
        self.0.row.level.as_str()
    }

    /// The id of the entity; 0 for the whole fleet.
    async fn entity_id(&self) -> ID {
        self.0.row.entity.into()
    }

    /// The name of the entity.
    async fn name(&self) -> &str {
        &self.0.row.name
    }

    /// The id of the entity above it.
    async fn parent_id(&self) -> Option<ID> {
        self.0.row.parent.map(ID::from)
    }

    /// Its state; PENDING until its last step ended.
    async fn state(&self) -> ElementState {
        self.0.row.state.into()
    }

    /// What became of it; null before its end.
    async fn outcome(&self) -> Option<ElementOutcome> {
        self.0.row.state.outcome().map(ElementOutcome::from)
    }

    /// Why it failed or was skipped: a word for programs.
    async fn reason(&self) -> Option<&str> {
        self.0.row.reason.as_deref()
    }

    /// What happened, for people.
    async fn message(&self) -> Option<&str> {
        self.0.row.message.as_deref()
    }

    /// Whether something changed, or would have in a dry run.
    async fn changed(&self) -> bool {
        self.0.row.changed
    }

    /// What its pre-run step returned.
    async fn pre_run(&self) -> Option<Result<Value>> {
        Some(whole(&self.0, |result| &result.pre_run))
    }

    /// What its run step returned.
    async fn result(&self) -> Option<Result<Value>> {
        Some(whole(&self.0, |result| &result.data))
    }
}
