//! Executions that are steps of a workflow.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{READ, WRITE, numbers};
use crate::sql::SqlSession;
use crate::{LeftOut, StoreError, column};

/// Their ends are due for announcement at once.
const LEAVE_OUT: &str = "\
    UPDATE element SET state = 'FILTERED', outcome = 'skipped', ended_at = {now}, due_at = {now}, waits_for = NULL, reason = 'left-out', \
        message = 'it was not done in an earlier step of the workflow' \
    WHERE execution = $1 AND outcome = 'open' AND (entity_type, entity_id) IN ( \
        SELECT earlier.entity_type, earlier.entity_id FROM element AS earlier \
        WHERE earlier.execution IN (SELECT number FROM {rows $2: number bigint} AS listed) AND earlier.outcome IN ('failed', 'skipped')) \
    RETURNING stage";

const OPEN_STEP: &str =
    "SELECT id FROM execution WHERE parent = $1 AND ended_at IS NULL ORDER BY number LIMIT 1";

const ANY_CHANGED: &str = "\
    SELECT 1 FROM element WHERE execution IN (SELECT number FROM {rows $1: number bigint} AS listed) AND changed LIMIT 1";

pub(super) async fn leave_out(
    session: &dyn SqlSession,
    execution: u64,
    earlier: &BTreeSet<u64>,
) -> Result<LeftOut, StoreError> {
    let mut left_out = LeftOut::default();
    if earlier.is_empty() {
        return Ok(left_out);
    }
    let parameters = vec![execution.into(), numbers(earlier)];
    for row in session.query(WRITE, LEAVE_OUT, parameters).await? {
        left_out.elements += 1;
        let stage: u16 = row.number("element.stage", 0)?;
        left_out.in_first_stage += u64::from(stage == 0);
    }
    Ok(left_out)
}

pub(super) async fn open_step(session: &dyn SqlSession, execution: u64) -> Result<Option<Uuid>, StoreError> {
    let rows = session.query(READ, OPEN_STEP, vec![execution.into()]).await?;
    let id = rows.first().map(|row| row.text("execution.id", 0)).transpose()?;
    id.map(|id| column::word("execution.id", &id)).transpose()
}

pub(super) async fn any_changed(
    session: &dyn SqlSession,
    executions: &BTreeSet<u64>,
) -> Result<bool, StoreError> {
    let rows = session
        .query(READ, ANY_CHANGED, vec![numbers(executions)])
        .await?;
    Ok(!rows.is_empty())
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[LEAVE_OUT, OPEN_STEP, ANY_CHANGED];
