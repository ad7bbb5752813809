//! Deletes executions that ended long ago, and what they found out that is not the newest.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{execute, journal, numbers};
use crate::sql::SqlDatabase;
use crate::{Expired, StoreError};

const OPERATION: &str = "delete expired executions";

/// Executions whose elements one statement deletes. A workflow that has not ended looks at its steps.
macro_rules! oldest {
    () => {
        "SELECT number FROM execution WHERE ended_at < $1 AND NOT EXISTS (SELECT 1 FROM execution AS workflow \
            WHERE workflow.number = execution.parent AND workflow.ended_at IS NULL) ORDER BY ended_at LIMIT 100"
    };
}

const ELEMENTS: &str = concat!(
    "DELETE FROM element WHERE number IN (SELECT number FROM element WHERE execution IN (",
    oldest!(),
    ") LIMIT $2) RETURNING number"
);

const SYNC_ELEMENTS: &str = "\
    DELETE FROM sync_element WHERE element IN (SELECT number FROM {rows $1: number bigint} AS listed)";

const RESULTS: &str = concat!(
    "DELETE FROM entity_result WHERE (execution, phase, level, entity_id) IN ( \
        SELECT execution, phase, level, entity_id FROM entity_result WHERE execution IN (",
    oldest!(),
    ") LIMIT $2)"
);

const TARGETS: &str = concat!(
    "DELETE FROM execution_target WHERE (execution, entity_id) IN ( \
        SELECT execution, entity_id FROM execution_target WHERE execution IN (",
    oldest!(),
    ") LIMIT $2)"
);

const EXECUTIONS: &str = concat!(
    "DELETE FROM execution WHERE number IN (",
    oldest!(),
    ") AND NOT EXISTS (SELECT 1 FROM element WHERE element.execution = execution.number) \
     AND NOT EXISTS (SELECT 1 FROM entity_result AS result WHERE result.execution = execution.number) \
     AND NOT EXISTS (SELECT 1 FROM execution_target AS target WHERE target.execution = execution.number)"
);

const CANCELLED: &str = "\
    DELETE FROM cancelled_execution WHERE id IN (SELECT id FROM cancelled_execution WHERE at < $1 LIMIT $2)";

const FACTS: &str = "\
    DELETE FROM fact_history WHERE number IN (SELECT number FROM fact_history WHERE at < $1 LIMIT $2)";

const CHECKS: &str = "\
    DELETE FROM entity_check WHERE number IN (SELECT number FROM entity_check WHERE at < $1 AND NOT newest LIMIT $2)";

/// Deletes a chunk: at most `limit` elements with their journals, as many results of entities and targets, then the executions that have
/// none any more; and at most `limit` former facts and checks each.
pub(crate) async fn expire<D: SqlDatabase>(
    database: &D,
    before: Timestamp,
    limit: u32,
) -> Result<Expired, StoreError> {
    let transaction = database.write(OPERATION).await?;
    transaction.plan_for_now(OPERATION).await?;
    let bounded = || vec![before.into(), limit.into()];
    let elements = transaction.query(OPERATION, ELEMENTS, bounded()).await?;
    let elements = elements.iter().map(|row| row.number("element.number", 0));
    let elements = elements.collect::<Result<BTreeSet<u64>, _>>()?;
    journal::delete(&*transaction, &elements).await?;
    execute(&*transaction, SYNC_ELEMENTS, vec![numbers(&elements)]).await?;
    let results = execute(&*transaction, RESULTS, bounded()).await?;
    let targets = execute(&*transaction, TARGETS, bounded()).await?;
    let executions = execute(&*transaction, EXECUTIONS, vec![before.into()]).await?;
    let cancelled = execute(&*transaction, CANCELLED, bounded()).await?;
    let facts = execute(&*transaction, FACTS, bounded()).await?;
    let checks = execute(&*transaction, CHECKS, bounded()).await?;
    transaction.commit(OPERATION).await?;
    let deleted = elements.len() as u64 + results + targets + executions + cancelled + facts + checks;
    Ok(Expired {
        deleted,
        next: (deleted > 0).then_some(0),
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    ELEMENTS,
    SYNC_ELEMENTS,
    RESULTS,
    TARGETS,
    EXECUTIONS,
    CANCELLED,
    FACTS,
    CHECKS,
];
