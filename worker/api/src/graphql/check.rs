use std::sync::Arc;

use async_graphql::{Enum, ID, Object, Result};
use lockstep_http::ReadScope;
use lockstep_protocol::EntityType;
use lockstep_store::{Bounded, CheckRow, Page, Pages, Relation, StoreError};
use serde_json::Value;

use super::date_time::DateTime;
use super::field::whole;
use super::loads::{Counted, Loads, PageOf};

/// A check of an entity: the newest one of its key.
#[derive(Debug)]
pub(crate) struct Check(Arc<Bounded<CheckRow>>);

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "CheckResultEnum")]
pub(crate) enum CheckResult {
    /// The entity is as it should be.
    Ok,
    /// The entity is not as it should be.
    Nok,
    /// The check could not be performed.
    Failed,
}

/// The checks of entities of a kind.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ChecksOf(pub(super) EntityType);

impl PageOf for ChecksOf {
    const SCOPE: ReadScope = ReadScope::DeviceOutput;
    type Position = String;
    type Row = Bounded<CheckRow>;
    type Node = Check;

    async fn load(
        &self,
        loads: &Loads,
        ids: &[u64],
        page: &Page<String>,
    ) -> Result<Pages<Self::Row>, StoreError> {
        let mut budget = loads.budget().await;
        let store = &loads.context().entities;
        store.checks_of(self.0, ids, page, &mut budget).await
    }

    fn position(check: &Self::Row) -> String {
        check.row.key.clone()
    }

    fn node(check: Arc<Self::Row>) -> Option<Check> {
        Some(Check(check))
    }
}

impl Counted for ChecksOf {
    fn relation(&self) -> Relation {
        Relation::Checks(self.0)
    }
}

#[Object]
impl Check {
    /// Its key.
    async fn key(&self) -> &str {
        &self.0.row.key
    }

    /// What it came to.
    async fn result(&self) -> CheckResult {
        match self.0.row.result.as_str() {
            "ok" => CheckResult::Ok,
            "nok" => CheckResult::Nok,
            _ => CheckResult::Failed,
        }
    }

    /// Why, for people.
    async fn reason(&self) -> Option<&str> {
        self.0.row.reason.as_deref()
    }

    /// What it measured.
    async fn metrics(&self) -> Option<Result<Value>> {
        Some(whole(&self.0, |check| &check.metrics))
    }

    /// When it was performed.
    async fn date(&self) -> DateTime {
        DateTime(self.0.row.at)
    }

    /// The id of the element that performed it, which may have been deleted.
    async fn element_id(&self) -> ID {
        self.0.row.element.into()
    }
}
