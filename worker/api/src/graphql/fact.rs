use std::sync::Arc;

use async_graphql::{ID, Object, Result};
use lockstep_http::ReadScope;
use lockstep_protocol::EntityType;
use lockstep_store::{Bounded, FactRow, Page, Pages, Relation, StoreError};
use serde_json::Value;

use super::date_time::DateTime;
use super::field::whole;
use super::loads::{Counted, Loads, PageOf};

/// What a provider found out about an entity: the newest value of its key. Untrusted, as far as a device said it.
#[derive(Debug)]
pub(crate) struct Fact(Arc<Bounded<FactRow>>);

/// The facts about entities of a kind.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FactsOf(pub(super) EntityType);

impl PageOf for FactsOf {
    const SCOPE: ReadScope = ReadScope::DeviceOutput;
    type Position = String;
    type Row = Bounded<FactRow>;
    type Node = Fact;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<String>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        let mut budget = loads.budget().await;
        let store = &loads.context().entities;
        store.facts_of(self.0, ids, page, &mut budget).await
    }

    fn position(fact: &Self::Row) -> String {
        fact.row.key.clone()
    }

    fn node(fact: Arc<Self::Row>) -> Option<Fact> {
        Some(Fact(fact))
    }
}

impl Counted for FactsOf {
    fn relation(&self) -> Relation {
        Relation::Facts(self.0)
    }
}

#[Object]
impl Fact {
    /// Its key.
    async fn key(&self) -> &str {
        &self.0.row.key
    }

    /// Its value.
    async fn value(&self) -> Option<Result<Value>> {
        Some(whole(&self.0, |fact| &fact.value))
    }

    /// When it was found.
    async fn at(&self) -> DateTime {
        DateTime(self.0.row.at)
    }

    /// The id of the element that found it, which may have been deleted.
    async fn element_id(&self) -> ID {
        self.0.row.element.into()
    }
}
