//! What steps of providers read: entities with their facts and checks, and the results of earlier stages.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_execution::cycle::{CheckResult, Results};
use lockstep_execution::{CycleResult, EntityData};
use lockstep_protocol::{EntityType, Level};
use lockstep_store::{CheckRow, EntityResult, EntityResultQuery, RunCycle, StoreError};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::runtime::{TransactionRetry, chain};

/// The results of a page.
const PAGE: u32 = 500;
/// The most facts, and the most checks, of one entity that a step sees.
const MOST_KEYS: u32 = 1000;

/// What the steps of one element read, of one phase of its execution.
#[derive(Debug)]
pub(super) struct StepData<'a> {
    pub(super) cycle: &'a Arc<dyn RunCycle>,
    pub(super) execution: u64,
    pub(super) phase: u8,
    /// Fires when the element is told to stop.
    pub(super) cancel: &'a CancellationToken,
}

#[async_trait]
impl EntityData for StepData<'_> {
    async fn entity(&self, entity_type: EntityType, id: u64) -> Result<Value, String> {
        let attributes = read(self.cancel, || self.cycle.attributes(entity_type, id));
        let Some(mut entity) = attributes.await.map_err(|error| text(&error))? else {
            return Ok(Value::Null);
        };
        let facts = read(self.cancel, || self.cycle.facts(entity_type, id, None, MOST_KEYS));
        let checks = read(self.cancel, || {
            self.cycle.checks(entity_type, id, None, MOST_KEYS)
        });
        let facts = facts.await.map_err(|error| text(&error))?.into_iter();
        let checks = checks.await.map_err(|error| text(&error))?.into_iter();
        let facts: Map<String, Value> = facts.map(|fact| (fact.key, fact.value)).collect();
        let checks: Map<String, Value> = checks
            .map(|check| (check.key.clone(), value_of(&check)))
            .collect();
        if let Value::Object(attributes) = &mut entity {
            attributes.insert("facts".to_owned(), facts.into());
            attributes.insert("checks".to_owned(), checks.into());
        }
        Ok(entity)
    }

    async fn checks_below(
        &self,
        entity_type: EntityType,
        id: u64,
        below: EntityType,
        key: &str,
    ) -> Result<Vec<(String, Option<CheckResult>)>, String> {
        let found = read(self.cancel, || {
            self.cycle.checks_below(entity_type, id, below, key)
        });
        let found = found.await.map_err(|error| text(&error))?.into_iter();
        Ok(found
            .map(|(name, check)| (name, check.and_then(|check| result_of(&check.result))))
            .collect())
    }
}

#[async_trait]
impl Results for StepData<'_> {
    async fn page(
        &self,
        level: Level,
        of: Option<u64>,
        after: Option<u64>,
    ) -> Result<Vec<CycleResult>, String> {
        let query = EntityResultQuery {
            execution: self.execution,
            phase: self.phase,
            level,
            of,
            after,
            limit: PAGE,
        };
        let page = read(self.cancel, || self.cycle.entity_results(&query));
        Ok(page
            .await
            .map_err(|error| text(&error))?
            .into_iter()
            .map(of_row)
            .collect())
    }
}

/// Reads, and repeats that while the store is unavailable, until the element is told to stop.
pub(super) async fn read<T, F: Future<Output = Result<T, StoreError>>>(
    cancel: &CancellationToken,
    once: impl Fn() -> F,
) -> Result<T, StoreError> {
    let mut retry = TransactionRetry::default();
    loop {
        let error = match once().await {
            Ok(found) => return Ok(found),
            Err(error) if cancel.is_cancelled() => return Err(error),
            Err(error) => error,
        };
        let pause = tokio::time::sleep(retry.after(error)?);
        let _ = cancel.run_until_cancelled(pause).await;
    }
}

fn text(error: &StoreError) -> String {
    format!("the store cannot be read: {}", chain(error))
}

fn value_of(check: &CheckRow) -> Value {
    json!({
        "result": check.result,
        "reason": check.reason,
        "metrics": check.metrics,
        "at": check.at.to_string(),
    })
}

/// `None` for a result that this program does not know.
fn result_of(text: &str) -> Option<CheckResult> {
    serde_json::from_value(text.into()).ok()
}

/// A result as it is stored.
pub(super) fn to_row(phase: u8, result: CycleResult) -> EntityResult {
    EntityResult {
        phase,
        level: result.level,
        entity: result.entity,
        name: result.name,
        parent: result.parent,
        state: result.state,
        reason: result.reason,
        message: result.message,
        changed: result.changed,
        pre_run: result.pre_run,
        data: result.data,
    }
}

/// A stored result as steps see it.
pub(super) fn of_row(row: EntityResult) -> CycleResult {
    CycleResult {
        level: row.level,
        entity: row.entity,
        name: row.name,
        parent: row.parent,
        state: row.state,
        reason: row.reason,
        message: row.message,
        changed: row.changed,
        pre_run: row.pre_run,
        data: row.data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_checks_are_read_as_they_are_stored() {
        for (text, expected) in [
            ("ok", Some(CheckResult::Ok)),
            ("nok", Some(CheckResult::Nok)),
            ("failed", Some(CheckResult::Failed)),
            ("newer", None),
        ] {
            assert_eq!(result_of(text), expected);
        }
    }
}
