//! The rows of executions, the stop of all of them, and what was cancelled before it existed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_protocol::commands::TaskRequested;
use uuid::Uuid;

use super::start::Counts;
use super::{READ, WRITE, execute, lane, list_text, numbers, texts};
use crate::sql::{Row, SqlSession, Value};
use crate::{
    ElementCounts, ExecutionRow, Halt, NewExecution, OpenExecution, ParentStep, ReplyAddress, StageRow,
    StopRow, StoreError, column,
};

macro_rules! select {
    ($($condition:expr),*) => {
        concat!(
            "SELECT number, id, task_number, task, provider, task_arguments, requested, run_on, relaunch_of, source, message_id, \
             kind, actor, reply_to, correlation_id, at, deadline_at, state, reason, started_at, ended_at, paused, halt, in_canary, \
             elements, done, failed, skipped, pre_tasks, post_tasks, plan, lane, stage, stage_elements, stage_ended, (SELECT count(*) FROM element AS parked WHERE parked.execution = execution.number \
                AND parked.resume_at IS NOT NULL), parent, parent_phase, parent_step FROM execution WHERE ",
            $($condition),*
        )
    };
}
pub(super) use select;

macro_rules! numbered {
    () => {
        "number IN (SELECT number FROM {rows $1: number bigint} AS listed) ORDER BY number"
    };
}

/// The locks of an execution: whoever pauses or halts it waits for claims, and they for it. Whoever counts its ends waits for others that
/// count, and not for claims: a claim that begins an element while another one fails could as well have been first.
const LOCK: &str = select!("id = $1 FOR UPDATE");
const LOCK_NUMBERS: &str = select!(numbered!(), " FOR NO KEY UPDATE");
const SHARE_NUMBERS: &str = select!(numbered!(), " FOR KEY SHARE");

const OF_ELEMENTS: &str = "\
    SELECT number, state = 'PENDING' FROM execution WHERE number IN ( \
        SELECT execution FROM element WHERE number IN (SELECT number FROM {rows $1: number bigint} AS listed))";

/// Those whose deadline is over and that go on; those of which all elements ended, or ended their stage; those that are halted and have unstarted elements;
/// those that were cancelled while they were being stored, or whose workflow was.
const NEGLECTED: &str = select!(
    "ended_at IS NULL AND (deadline_at <= $1 AND halt IS NULL OR done + failed + skipped >= elements \
        OR halt IS NULL AND stage_ended >= stage_elements \
        OR halt IS NOT NULL AND EXISTS (SELECT 1 FROM element \
            WHERE element.execution = execution.number AND element.outcome = 'open' AND element.state = 'PENDING') \
        OR halt IS NULL AND EXISTS (SELECT 1 FROM cancelled_execution WHERE cancelled_execution.id = execution.id) \
        OR halt IS NULL AND parent IS NOT NULL AND EXISTS (SELECT 1 FROM execution AS workflow \
            WHERE workflow.number = execution.parent AND workflow.halt = 'cancelled')) \
     ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED"
);

const OPEN_ON_CLUSTERS: &str = select!("ended_at IS NULL AND lane = 'cvp' ORDER BY number");

const WAITING_FOR_CLUSTERS: &str = "\
    SELECT DISTINCT execution FROM element \
    WHERE waits_for IS NOT NULL AND waits_for IN (SELECT name FROM {rows $1: name text} AS listed)";

const UPDATE: &str = "\
    UPDATE execution SET state = $2, reason = $3, started_at = $4, ended_at = $5, paused = $6, halt = $7, in_canary = $8, \
        done = $9, failed = $10, skipped = $11, stage = $12, stage_elements = $13, stage_ended = $14 \
    WHERE number = $1";

const INSERT: &str = "\
    INSERT INTO execution (id, task_number, task, provider, task_arguments, requested, run_on, relaunch_of, source, message_id, kind, \
        actor, reply_to, correlation_id, at, deadline_at, state, in_canary, pre_tasks, post_tasks, plan, lane, \
        run_input_json_schema, parent, parent_phase, parent_step) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'PENDING', $17, $18, $19, $20, $21, $22, $23, $24, $25) \
    RETURNING number";

const INSERT_SELECTION: &str = "INSERT INTO execution_selection (execution, execute_on) VALUES ($1, $2)";

pub(super) const SELECTION: &str = "SELECT execute_on FROM execution_selection WHERE execution = $1";

const RUN_INPUT: &str = "SELECT run_input_json_schema FROM execution WHERE number = $1";

const COUNT_ELEMENTS: &str = "\
    UPDATE execution SET elements = $2, stage_elements = $3, skipped = $4 WHERE number = $1";

const CANCEL_UNKNOWN: &str = "\
    INSERT INTO cancelled_execution (id, at, actor) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";

const WAS_CANCELLED: &str = "\
    SELECT 1 FROM cancelled_execution WHERE id = $1 \
    UNION ALL \
    SELECT 1 FROM execution JOIN execution AS workflow ON workflow.number = execution.parent \
    WHERE execution.id = $1 AND workflow.halt = 'cancelled'";

pub(super) const STOPPED: &str = "SELECT at, actor, note FROM execution_stop WHERE at IS NOT NULL";

/// The row is there without a stop, too, so that it can be locked.
const STOP: &str = "SELECT at, actor, note FROM execution_stop FOR SHARE";

const SET_STOP: &str = "\
    UPDATE execution_stop SET at = $1, actor = $2, note = $3 WHERE (at IS NULL) <> (CAST($1 AS timestamptz) IS NULL)";

/// Inserts the row of an execution, without its elements. Returns its number.
pub(super) async fn insert(
    session: &dyn SqlSession,
    id: Uuid,
    new: &NewExecution,
) -> Result<u64, StoreError> {
    let parameters = vec![
        id.to_string().into(),
        new.task_number.into(),
        new.task.as_str().into(),
        new.provider.as_str().into(),
        super::json_text(&new.task_arguments),
        without_entities(&new.requested).into(),
        new.run_on.as_str().into(),
        new.relaunch_of.map(|id| id.to_string()).into(),
        new.identity.source.as_str().into(),
        new.identity.id.as_str().into(),
        new.kind.as_str().into(),
        new.actor.as_deref().into(),
        new.reply.queue.as_deref().into(),
        new.reply.correlation_id.as_deref().into(),
        new.at.into(),
        new.deadline_at.into(),
        new.limits().canary.is_some().into(),
        list_text(&new.pre_tasks),
        list_text(&new.post_tasks),
        list_text(&new.plan),
        new.lane.as_str().into(),
        new.run_input_json_schema.as_ref().map(ToString::to_string).into(),
        new.parent.map(|parent| parent.execution).into(),
        new.parent.map(|parent| u32::from(parent.phase)).into(),
        new.parent.map(|parent| parent.step).into(),
    ];
    let rows = session.query(WRITE, INSERT, parameters).await?;
    let number = rows.first().ok_or_else(|| StoreError::Corrupt {
        what: "execution.number".to_owned(),
        reason: "the store did not return it".to_owned(),
    })?;
    let number = number.number("execution.number", 0)?;
    if !new.requested.execute_on.is_empty() {
        let entities = serde_json::to_string(&new.requested.execute_on).expect("a list of numbers");
        let parameters = vec![Value::from(number), entities.into()];
        execute(session, INSERT_SELECTION, parameters).await?;
    }
    Ok(number)
}

/// Writes how many elements an execution has.
pub(super) async fn count_elements(
    session: &dyn SqlSession,
    number: u64,
    counts: Counts,
) -> Result<(), StoreError> {
    let parameters = vec![
        number.into(),
        counts.elements.into(),
        counts.in_first_stage.into(),
        counts.skipped.into(),
    ];
    execute(session, COUNT_ELEMENTS, parameters).await?;
    Ok(())
}

fn without_entities(requested: &TaskRequested) -> String {
    let rest = TaskRequested {
        task: requested.task.clone(),
        execute_on: Vec::new(),
        execute_on_names: Vec::new(),
        execute_on_type: requested.execute_on_type,
        dry_run: requested.dry_run,
        arguments: requested.arguments.clone(),
        limits: requested.limits,
    };
    serde_json::to_string(&rest).expect("bodies of commands have string keys and no failing serializers")
}

pub(super) async fn cancel_unknown(
    session: &dyn SqlSession,
    id: Uuid,
    at: Timestamp,
    by: Option<&str>,
) -> Result<(), StoreError> {
    execute(
        session,
        CANCEL_UNKNOWN,
        vec![id.to_string().into(), at.into(), by.into()],
    )
    .await?;
    Ok(())
}

pub(super) async fn was_cancelled(session: &dyn SqlSession, id: Uuid) -> Result<bool, StoreError> {
    let rows = session
        .query(READ, WAS_CANCELLED, vec![id.to_string().into()])
        .await?;
    Ok(!rows.is_empty())
}

pub(super) async fn lock(session: &dyn SqlSession, id: Uuid) -> Result<Option<ExecutionRow>, StoreError> {
    let rows = session.query(READ, LOCK, vec![id.to_string().into()]).await?;
    rows.first().map(read).transpose()
}

pub(super) async fn run_input_json_schema(
    session: &dyn SqlSession,
    number: u64,
) -> Result<Option<serde_json::Value>, StoreError> {
    const WHAT: &str = "execution.run_input_json_schema";
    let rows = session.query(READ, RUN_INPUT, vec![number.into()]).await?;
    let text = rows.first().map(|row| row.optional_text(WHAT, 0)).transpose()?;
    text.flatten().map(|text| column::json(WHAT, &text)).transpose()
}

pub(super) async fn lock_numbers(
    session: &dyn SqlSession,
    executions: &BTreeSet<u64>,
) -> Result<Vec<ExecutionRow>, StoreError> {
    lock_listed(session, LOCK_NUMBERS, executions).await
}

async fn lock_listed(
    session: &dyn SqlSession,
    statement: &'static str,
    executions: &BTreeSet<u64>,
) -> Result<Vec<ExecutionRow>, StoreError> {
    if executions.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.query(READ, statement, vec![numbers(executions)]).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn of_elements(
    session: &dyn SqlSession,
    elements: &BTreeSet<u64>,
) -> Result<BTreeSet<u64>, StoreError> {
    let rows = session.query(READ, OF_ELEMENTS, vec![numbers(elements)]).await?;
    rows.iter().map(|row| row.number("execution.number", 0)).collect()
}

/// Locks the executions of these elements for a claim. If one has not begun, all are locked for writing: claims that had locked it for
/// reading would wait for each other when they set its state.
pub(super) async fn lock_for_claim(
    session: &dyn SqlSession,
    elements: &BTreeSet<u64>,
) -> Result<Vec<ExecutionRow>, StoreError> {
    let rows = session.query(READ, OF_ELEMENTS, vec![numbers(elements)]).await?;
    let (mut executions, mut any_pending) = (BTreeSet::new(), false);
    for row in &rows {
        executions.insert(row.number("execution.number", 0)?);
        any_pending |= row.boolean("execution.state", 1)?;
    }
    let statement = if any_pending { LOCK_NUMBERS } else { SHARE_NUMBERS };
    lock_listed(session, statement, &executions).await
}

pub(super) async fn neglected(
    session: &dyn SqlSession,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ExecutionRow>, StoreError> {
    let rows = session
        .query(READ, NEGLECTED, vec![now.into(), limit.into()])
        .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn open_on_clusters(session: &dyn SqlSession) -> Result<Vec<OpenExecution>, StoreError> {
    let rows = session.query(READ, OPEN_ON_CLUSTERS, Vec::new()).await?;
    let rows: Vec<ExecutionRow> = rows.iter().map(read).collect::<Result<_, _>>()?;
    let clusters: BTreeSet<String> = rows
        .iter()
        .filter_map(|row| Some(row.request.cluster()?.to_string()))
        .collect();
    let mut waiting: BTreeSet<u64> = BTreeSet::new();
    if !clusters.is_empty() {
        for row in session
            .query(READ, WAITING_FOR_CLUSTERS, vec![texts(clusters)])
            .await?
        {
            waiting.insert(row.number("element.execution", 0)?);
        }
    }
    let open = rows.into_iter().map(|row| OpenExecution {
        waits: waiting.contains(&row.number),
        row,
    });
    Ok(open.collect())
}

pub(super) async fn update(session: &dyn SqlSession, row: &ExecutionRow) -> Result<(), StoreError> {
    let parameters = vec![
        row.number.into(),
        row.state.as_str().into(),
        row.reason.as_deref().into(),
        row.started_at.into(),
        row.ended_at.into(),
        row.paused.into(),
        row.halt.map(Halt::as_str).into(),
        row.in_canary.into(),
        row.counts.done.into(),
        row.counts.failed.into(),
        row.counts.skipped.into(),
        u32::from(row.stage.index).into(),
        row.stage.elements.into(),
        row.stage.ended.into(),
    ];
    execute(session, UPDATE, parameters).await?;
    Ok(())
}

pub(super) async fn stop(session: &dyn SqlSession) -> Result<Option<StopRow>, StoreError> {
    let rows = session.query(READ, STOP, Vec::new()).await?;
    Ok(rows.first().map(read_stop).transpose()?.flatten())
}

pub(super) async fn set_stop(session: &dyn SqlSession, stop: Option<&StopRow>) -> Result<bool, StoreError> {
    let parameters = vec![
        stop.map(|stop| stop.at).into(),
        stop.and_then(|stop| stop.by.as_deref()).into(),
        stop.and_then(|stop| stop.note.as_deref()).into(),
    ];
    Ok(execute(session, SET_STOP, parameters).await? > 0)
}

pub(super) fn read_stop(row: &Row) -> Result<Option<StopRow>, StoreError> {
    let Some(at) = row.optional_time("execution_stop.at", 0)? else {
        return Ok(None);
    };
    Ok(Some(StopRow {
        at,
        by: row.optional_text("execution_stop.actor", 1)?,
        note: row.optional_text("execution_stop.note", 2)?,
    }))
}

pub(super) fn read(row: &Row) -> Result<ExecutionRow, StoreError> {
    let reason = |what, index| row.optional_text(what, index);
    let relaunch_of = reason("execution.relaunch_of", 8)?;
    let halt = reason("execution.halt", 22)?;
    Ok(ExecutionRow {
        number: row.number("execution.number", 0)?,
        id: column::word("execution.id", &row.text("execution.id", 1)?)?,
        request: NewExecution {
            task_number: row.number("execution.task_number", 2)?,
            task: row.text("execution.task", 3)?,
            provider: row.text("execution.provider", 4)?,
            task_arguments: column::json(
                "execution.task_arguments",
                &row.text("execution.task_arguments", 5)?,
            )?,
            run_input_json_schema: None,
            requested: column::json("execution.requested", &row.text("execution.requested", 6)?)?,
            run_on: column::word("execution.run_on", &row.text("execution.run_on", 7)?)?,
            pre_tasks: column::json("execution.pre_tasks", &row.text("execution.pre_tasks", 28)?)?,
            post_tasks: column::json("execution.post_tasks", &row.text("execution.post_tasks", 29)?)?,
            plan: column::json("execution.plan", &row.text("execution.plan", 30)?)?,
            lane: lane("execution.lane", &row.text("execution.lane", 31)?)?,
            relaunch_of: relaunch_of
                .map(|id| column::word("execution.relaunch_of", &id))
                .transpose()?,
            parent: match row.optional_number("execution.parent", 36)? {
                Some(execution) => Some(ParentStep {
                    execution,
                    phase: row.number("execution.parent_phase", 37)?,
                    step: row.number("execution.parent_step", 38)?,
                }),
                None => None,
            },
            identity: column::identity(
                row.text("execution.source", 9)?,
                row.text("execution.message_id", 10)?,
            )?,
            kind: column::word("execution.kind", &row.text("execution.kind", 11)?)?,
            actor: row.optional_text("execution.actor", 12)?,
            reply: ReplyAddress {
                queue: row.optional_text("execution.reply_to", 13)?,
                correlation_id: row.optional_text("execution.correlation_id", 14)?,
            },
            at: row.time("execution.at", 15)?,
            deadline_at: row.optional_time("execution.deadline_at", 16)?,
        },
        state: column::word("execution.state", &row.text("execution.state", 17)?)?,
        reason: row.optional_text("execution.reason", 18)?,
        started_at: row.optional_time("execution.started_at", 19)?,
        ended_at: row.optional_time("execution.ended_at", 20)?,
        paused: row.boolean("execution.paused", 21)?,
        halt: halt
            .map(|halt| column::word("execution.halt", &halt))
            .transpose()?,
        in_canary: row.boolean("execution.in_canary", 23)?,
        counts: ElementCounts {
            elements: row.number("execution.elements", 24)?,
            done: row.number("execution.done", 25)?,
            failed: row.number("execution.failed", 26)?,
            skipped: row.number("execution.skipped", 27)?,
        },
        parked: row.number("element.resume_at", 35)?,
        stage: StageRow {
            index: row.number("execution.stage", 32)?,
            elements: row.number("execution.stage_elements", 33)?,
            ended: row.number("execution.stage_ended", 34)?,
        },
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    LOCK,
    LOCK_NUMBERS,
    SHARE_NUMBERS,
    OF_ELEMENTS,
    NEGLECTED,
    OPEN_ON_CLUSTERS,
    WAITING_FOR_CLUSTERS,
    UPDATE,
    INSERT,
    INSERT_SELECTION,
    SELECTION,
    RUN_INPUT,
    COUNT_ELEMENTS,
    CANCEL_UNKNOWN,
    WAS_CANCELLED,
    STOPPED,
    STOP,
    SET_STOP,
];
