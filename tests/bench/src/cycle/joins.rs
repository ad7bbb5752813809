//! How many elements end their stage in a second, when each end is counted in its execution and the last one begins the next stage.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, Level};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::{
    CapScope, ElementEnd, ElementOwner, ElementSource, EntityResult, ExecutionReference, Executions, Keys,
    UnitOfWork,
};
use serde_json::Value;
use uuid::Uuid;

use crate::elements::{GROUP, begin, numbers, start};
use crate::rounds::alternate;
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

/// Connections that end elements at the same time.
const SESSIONS: usize = 4;
/// When what was queued is due.
const LONG: Duration = Duration::from_mins(10);
/// Ends in a second.
const GOAL: f64 = 20_000.0;

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Load {
    elements: u32,
    /// The elements are those of so many executions, and each transaction has ends of one of them.
    executions: u32,
    /// Each end has the result of its device, as it has if the element is not a result by itself.
    with_results: bool,
}

/// Adds the rows.
///
/// # Errors
/// The database rejects a statement, or a stage did not begin with the last end of the one before.
pub(super) async fn measure(
    host: &Host,
    elements: u32,
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    let load = |executions, with_results| Load {
        elements,
        executions,
        with_results,
    };
    let loads = [
        ("ends of a stage, 4 executions in 4 sessions", load(4, false)),
        ("the same of one execution", load(1, false)),
        ("the same of one execution, each with a result", load(1, true)),
    ];
    let runs = alternate("cycle", rounds, &loads, async |(_, load)| one(host, load).await).await?;
    for load in loads {
        let goal = ("goal", &[GOAL][..]);
        let (what, _) = load;
        table
            .rows
            .push(Row::new(what, "/s", runs.of(load), goal, Goal::Times(1.0)));
    }
    Ok(())
}

/// Ends all elements in two stages. Returns how many ends were committed in a second, without the time in which they begin.
async fn one(host: &Host, load: Load) -> anyhow::Result<f64> {
    let scene = host.scene(load.elements).await?;
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let mut groups = Vec::new();
    let mut executions = Vec::new();
    for ids in shares(&scene, load.executions).await? {
        let source = ElementSource::Of {
            entity_type: ExecuteOn::Device,
            ids,
        };
        let execution = start(&store, &source, 1).await?;
        let numbers = numbers(&store, execution).await?;
        groups.extend(numbers.chunks(GROUP).map(<[u64]>::to_vec));
        executions.push((execution, numbers.len() as u64));
    }
    let client = scene.schema.connect().await?;
    client.batch_execute("VACUUM ANALYZE element").await?;
    let owner = ElementOwner(Uuid::new_v4());
    let mut took = Duration::ZERO;
    for stage in 0..2 {
        for group in &groups {
            begin(&store, group, owner).await?;
        }
        let began = Instant::now();
        let sessions = (0..SESSIONS).map(|session| {
            let (store, groups) = (&store, &groups);
            async move {
                // Each session has groups of all executions.
                for group in groups.iter().skip(session).step_by(SESSIONS) {
                    end(store, group, owner, stage, load.with_results).await?;
                }
                anyhow::Ok(())
            }
        });
        try_join_all(sessions).await?;
        took += began.elapsed();
    }
    for (number, elements) in executions {
        let found = store.execution(&ExecutionReference::Number(number)).await?;
        let found = found.context("the execution")?;
        ensure!(
            found.counts.done == elements && (found.stage.index, found.stage.ended) == (1, elements),
            "{:?} {:?}",
            found.counts,
            found.stage
        );
    }
    Ok(f64::from(load.elements) * 2.0 / took.as_secs_f64())
}

/// The devices, in equal shares.
async fn shares(scene: &Scene, shares: u32) -> anyhow::Result<Vec<Vec<u64>>> {
    let client = scene.schema.connect().await?;
    let rows = client.query("SELECT id FROM device ORDER BY id", &[]).await?;
    let ids = rows.iter().map(|row| u64::try_from(row.get::<_, i64>(0)));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let size = ids.len().div_ceil(usize::try_from(shares)?);
    Ok(ids.chunks(size).map(<[u64]>::to_vec).collect())
}

/// Ends the stage of elements of one execution. The last end begins the next stage, in the same transaction.
async fn end(
    store: &PostgresStore,
    group: &[u64],
    owner: ElementOwner,
    stage: u16,
    with_results: bool,
) -> anyhow::Result<()> {
    let goes_on = stage == 0;
    let ends = group.iter().map(|number| ElementEnd {
        number: *number,
        attempt: u32::from(stage) + 1,
        state: if goes_on {
            ElementState::Pending
        } else {
            ElementState::Successful
        },
        next: goes_on.then_some(1),
        parked: None,
        reason: None,
        message: None,
        changed: false,
        data: Value::Null.into(),
        results: with_results
            .then(|| result(*number, u8::from(!goes_on)))
            .into_iter()
            .collect(),
        facts: Vec::new(),
        checks: Vec::new(),
        items: Vec::new(),
    });
    let ends: Vec<_> = ends.collect();
    let (facts, mut transaction) = store.begin(&[], &Keys::default()).await?;
    {
        let mut executions = transaction.executions();
        let of = executions.executions_of(&group.iter().copied().collect()).await?;
        let mut rows = executions.lock_numbers(&of).await?;
        let ended = executions
            .finish(&ends, Some(owner), &BTreeSet::new(), LONG)
            .await?;
        ensure!(ended.len() == group.len(), "{} ended", ended.len());
        for row in &mut rows {
            let count = ended.iter().filter(|element| element.execution == row.number);
            let count = u64::try_from(count.count())?;
            row.stage.ended += count;
            if !goes_on {
                row.counts.done += count;
            }
            if goes_on && row.stage.ended == row.stage.elements {
                let itself = CapScope::Execution(row.number);
                let begun = executions.begin_stage(row.number, 1, u64::MAX, &itself, LONG);
                row.stage.elements = begun.await?.elements;
                (row.stage.index, row.stage.ended) = (1, 0);
            }
            executions.update(row).await?;
        }
    }
    Ok(transaction.commit(&facts).await?)
}

/// The result of an element's device. Its id only has to be another one for each element.
fn result(number: u64, phase: u8) -> EntityResult {
    EntityResult {
        phase,
        level: Level::NornirDevice,
        entity: number,
        name: format!("access-{number}"),
        parent: None,
        state: ElementState::Successful,
        reason: None,
        message: Some("answered in 12 ms".to_owned()),
        changed: false,
        pre_run: Value::Null,
        data: serde_json::json!({"round_trip_ms": 12.1, "model": "DCS-7050SX3-48YC8", "version": "4.30.3M"}),
    }
}
