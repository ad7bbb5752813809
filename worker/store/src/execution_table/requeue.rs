//! Elements whose worker or whose message was lost.

use std::time::Duration;

use super::device_lease::{self, Held};
use super::{READ, WRITE, milliseconds, read_queued};
use crate::sql::{Row, SqlSession, rows};
use crate::{ExpiredElement, PhaseTask, PlannedStage, QueuedElement, StoreError, column};

/// Every element that runs has an owner; the condition leads SQLite to the index of those.
const EXPIRED: &str = "\
    SELECT element.number, element.execution, element.attempts, execution.provider, execution.halt, element.stage, \
        element.attempts - element.earlier_attempts, execution.plan, execution.pre_tasks, execution.post_tasks, \
        EXISTS (SELECT 1 FROM step_journal WHERE step_journal.element = element.number AND step_journal.stage = element.stage) \
    FROM element JOIN execution ON execution.number = element.execution \
    WHERE element.state = 'RUNNING' AND element.owner > '' AND element.until <= {now} ORDER BY element.owner LIMIT $1";

const REQUEUE: &str = "\
    WITH lost AS (SELECT number FROM element WHERE state = 'RUNNING' AND until <= {now} \
        AND (number, attempts) IN (SELECT number, attempt FROM {rows $1: number bigint, attempt bigint} AS listed) \
        ORDER BY number FOR UPDATE) \
    UPDATE element SET state = 'PENDING', due_at = {after $2}, until = NULL, repeats = 0 WHERE number IN (SELECT number FROM lost) \
    RETURNING number, lane, hostname, owner, fence, other_leases";

/// The first repetition comes after the time once, the second after twice the time, up to sixteen times.
const OVERDUE: &str = "\
    UPDATE element SET repeats = repeats + 1, \
        due_at = {after CAST($2 AS bigint) * CASE WHEN repeats < 4 THEN 1 << repeats ELSE 16 END} \
    WHERE number IN (SELECT number FROM element WHERE due_at <= (SELECT {now}) AND outcome = 'open' \
        ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) \
    RETURNING number, lane";

pub(super) async fn expired(session: &dyn SqlSession, limit: u32) -> Result<Vec<ExpiredElement>, StoreError> {
    let rows = session.query(READ, EXPIRED, vec![limit.into()]).await?;
    rows.iter().map(read_expired).collect()
}

fn read_expired(row: &Row) -> Result<ExpiredElement, StoreError> {
    let halt = row.optional_text("execution.halt", 4)?;
    let stage = row.number("element.stage", 5)?;
    let phases = Phases {
        plan: column::json("execution.plan", &row.text("execution.plan", 7)?)?,
        pre_tasks: column::json("execution.pre_tasks", &row.text("execution.pre_tasks", 8)?)?,
        provider: row.text("execution.provider", 3)?,
        post_tasks: column::json("execution.post_tasks", &row.text("execution.post_tasks", 9)?)?,
    };
    Ok(ExpiredElement {
        number: row.number("element.number", 0)?,
        execution: row.number("element.execution", 1)?,
        attempt: row.number("element.attempts", 2)?,
        attempts_in_stage: row.number("element.attempts", 6)?,
        stage,
        provider: phases.provider_of(stage).to_owned(),
        has_journal: row.boolean("step_journal", 10)?,
        halt: halt
            .map(|halt| column::word("execution.halt", &halt))
            .transpose()?,
    })
}

/// The providers of an execution, by the phases of its stages.
struct Phases {
    plan: Vec<PlannedStage>,
    pre_tasks: Vec<PhaseTask>,
    provider: String,
    post_tasks: Vec<PhaseTask>,
}

impl Phases {
    /// The provider that runs in a stage: the first phases are the pre-tasks.
    fn provider_of(&self, stage: u16) -> &str {
        let phase = self.plan.get(usize::from(stage)).map(|planned| planned.phase);
        let phase = phase.map_or(self.pre_tasks.len(), usize::from);
        let before = self.pre_tasks.get(phase);
        let after = phase.checked_sub(self.pre_tasks.len() + 1);
        let after = after.and_then(|index| self.post_tasks.get(index));
        before.or(after).map_or(&self.provider, |task| &task.provider)
    }
}

pub(super) async fn requeue(
    session: &dyn SqlSession,
    elements: &[(u64, u32)],
    grace: Duration,
) -> Result<Vec<QueuedElement>, StoreError> {
    if elements.is_empty() {
        return Ok(Vec::new());
    }
    let listed = elements
        .iter()
        .map(|(number, attempt)| vec![(*number).into(), (*attempt).into()]);
    let parameters = vec![rows(listed), milliseconds(grace)];
    let requeued = session.query(WRITE, REQUEUE, parameters).await?;
    let held = requeued.iter().map(|row| Held::read(row, 2));
    let held = held.collect::<Result<Vec<_>, _>>()?;
    device_lease::give_back(session, held.iter().flatten()).await?;
    read_queued(&requeued)
}

pub(super) async fn overdue(
    session: &dyn SqlSession,
    limit: u32,
    grace: Duration,
) -> Result<Vec<QueuedElement>, StoreError> {
    let parameters = vec![limit.into(), milliseconds(grace)];
    read_queued(&session.query(WRITE, OVERDUE, parameters).await?)
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[EXPIRED, REQUEUE, OVERDUE];
