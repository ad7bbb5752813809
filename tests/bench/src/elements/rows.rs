//! The rows of elements: how many begin and end in a second, and what a page of results costs far from the first.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskReference, TaskRequested};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, Identity, Kind, MessageId, Source, Stage};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::{
    BeginElement, CapScope, ElementEnd, ElementLevels, ElementOwner, ElementQuery, ElementSource,
    ExecutionReference, Executions, Keys, NewExecution, PlannedStage, ReplyAddress, UnitOfWork,
};
use serde_json::json;
use uuid::Uuid;

use crate::rounds::alternate;
use crate::scene::Host;
use crate::table::{Goal, Row, Table};

/// Elements in one transaction, as a worker commits them.
pub(crate) const GROUP: usize = 256;
/// How long elements belong to their worker, and when they are announced.
const LONG: Duration = Duration::from_mins(10);

const PAGE: u32 = 100;
/// Reads of each page in one round.
const READS: u32 = 50;

/// One execution with 1,000,000 ended elements, among those of another one.
const FILL: &str = "\
    INSERT INTO element (execution, entity_type, entity_id, name, hostname, state, outcome, attempts, started_at, ended_at, \
        message, data) \
    SELECT 1 + number % 2, 'DEVICE', number, 'access-' || number, 'access-' || number, 'SUCCESSFUL', \
        CASE WHEN number % 200 < 2 THEN 'failed' ELSE 'done' END, 1, now(), now(), 'answered', repeat('x', 200) \
    FROM generate_series(1, 2000000) AS number";

/// Measures how many elements begin and end in a second, by transactions of 256.
///
/// # Errors
/// The database rejects a statement, or an element did not end.
pub(super) async fn ends(host: &Host, elements: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let scene = host.scene(elements).await?;
        let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
        let number = start(&store, &ElementSource::All, 0).await?;
        scene
            .schema
            .connect()
            .await?
            .batch_execute("VACUUM ANALYZE element")
            .await?;
        let rate = |took: Duration| f64::from(elements) / took.as_secs_f64();
        let numbers = numbers(&store, number).await?;
        ensure!(
            numbers.len() == usize::try_from(elements)?,
            "{} elements",
            numbers.len()
        );
        let owner = ElementOwner(Uuid::new_v4());
        let began = Instant::now();
        for group in numbers.chunks(GROUP) {
            begin(&store, group, owner).await?;
        }
        begins.push(rate(began.elapsed()));
        let began = Instant::now();
        for group in numbers.chunks(GROUP) {
            end(&store, group, owner).await?;
        }
        ends.push(rate(began.elapsed()));
        let found = store
            .execution(&ExecutionReference::Number(number))
            .await?
            .context("the execution")?;
        ensure!(found.counts.done == u64::from(elements), "{:?}", found.counts);
        eprintln!("elements, round {round}: begun {begins:.0?}/s, ended {ends:.0?}/s");
    }
    for (what, rates, goal) in [
        ("elements begun, 256 in a transaction", begins, 10_000.0),
        ("elements ended, 256 in a transaction", ends, 20_000.0),
    ] {
        let goal = ("goal", &[goal][..]);
        table
            .rows
            .push(Row::new(what, "/s", &rates, goal, Goal::Times(1.0)));
    }
    Ok(())
}

/// Starts an execution on these devices that goes through a task and so many pre-tasks, each with one stage.
///
/// # Errors
/// The database rejects a statement.
pub(crate) async fn start(
    store: &PostgresStore,
    source: &ElementSource,
    pre_tasks: u8,
) -> anyhow::Result<u64> {
    let planned = (0..=pre_tasks).map(|phase| PlannedStage {
        phase,
        stage: Stage::Devices,
    });
    let new = NewExecution {
        task_number: 1,
        task: "bench".to_owned(),
        provider: "bench".to_owned(),
        task_arguments: json!({}),
        run_input_json_schema: None,
        requested: TaskRequested {
            task: TaskReference::Number(1),
            execute_on: Vec::new(),
            execute_on_names: Vec::new(),
            execute_on_type: ExecuteOn::Device,
            dry_run: true,
            arguments: json!({}),
            limits: RunLimits::default(),
        },
        run_on: ExecuteOn::Device,
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        plan: planned.collect(),
        lane: Lane::Devices,
        relaunch_of: None,
        parent: None,
        identity: Identity {
            source: Source::worker(),
            id: MessageId::new(),
        },
        kind: Kind::TaskRequested,
        actor: None,
        reply: ReplyAddress {
            queue: None,
            correlation_id: None,
        },
        at: SystemClock.now(),
        deadline_at: None,
    };
    let (facts, mut transaction) = store.begin(&[], &Keys::default()).await?;
    let overall = CapScope::Overall;
    let levels = ElementLevels {
        devices: Some(0),
        ..ElementLevels::default()
    };
    let started = transaction
        .executions()
        .start(Uuid::new_v4(), &new, source, levels, u64::MAX, &overall, LONG)
        .await?;
    transaction.commit(&facts).await?;
    Ok(started.number)
}

/// The numbers of the elements of an execution.
///
/// # Errors
/// The database rejects a statement.
pub(crate) async fn numbers(store: &PostgresStore, execution: u64) -> anyhow::Result<Vec<u64>> {
    let mut query = ElementQuery {
        execution,
        limit: 10_000,
        ..ElementQuery::default()
    };
    let mut numbers = Vec::new();
    loop {
        let page = store.elements(&query).await?;
        query.after = page.last().map(|element| element.number);
        if page.is_empty() {
            return Ok(numbers);
        }
        numbers.extend(page.iter().map(|element| element.number));
    }
}

/// What a claim does with elements that all find a place.
///
/// # Errors
/// The database rejects a statement, or one of them does not begin.
pub(crate) async fn begin(store: &PostgresStore, group: &[u64], owner: ElementOwner) -> anyhow::Result<()> {
    let (facts, mut transaction) = store.begin(&[], &Keys::default()).await?;
    {
        let mut executions = transaction.executions();
        executions.stop().await?;
        let found = executions.candidates(&group.iter().copied().collect()).await?;
        let devices = found
            .elements
            .iter()
            .filter_map(|element| element.device.as_ref());
        let hostnames: BTreeSet<_> = devices.map(|device| device.hostname.clone()).collect();
        let fences = executions.acquire_devices(&hostnames, owner, LONG).await?;
        let begins = found.elements.iter().map(|element| BeginElement {
            number: element.number,
            fence: element
                .device
                .as_ref()
                .and_then(|device| fences.get(&device.hostname))
                .copied(),
            others: Vec::new(),
        });
        let begins: Vec<_> = begins.collect();
        ensure!(
            begins.len() == group.len(),
            "{} of {} begin",
            begins.len(),
            group.len()
        );
        executions.begin(&begins, owner, "bench", LONG).await?;
    }
    Ok(transaction.commit(&facts).await?)
}

/// What a worker does with a group of ends.
async fn end(store: &PostgresStore, group: &[u64], owner: ElementOwner) -> anyhow::Result<()> {
    let ends = group.iter().map(|number| ElementEnd {
        number: *number,
        attempt: 1,
        state: ElementState::Successful,
        next: None,
        parked: None,
        reason: None,
        message: Some("answered in 12 ms".to_owned()),
        changed: false,
        data: json!({"round_trip_ms": 12.1, "model": "DCS-7050SX3-48YC8", "version": "4.30.3M"}).into(),
        results: Vec::new(),
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
        for row in &mut rows {
            row.counts.done += u64::try_from(ended.len())?;
            executions.update(row).await?;
        }
    }
    Ok(transaction.commit(&facts).await?)
}

/// Measures the page 1,000 of results against the first one.
///
/// # Errors
/// The database rejects a statement, or a page is not full.
pub(super) async fn pages(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let scene = host.scene(1).await?;
    let client = scene.schema.connect().await?;
    client.batch_execute(FILL).await?;
    client.batch_execute("VACUUM ANALYZE element").await?;
    client.batch_execute("CHECKPOINT").await?;
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let after = "SELECT number FROM element WHERE execution = 1 ORDER BY number OFFSET $1 LIMIT 1";
    let after: i64 = client
        .query_one(after, &[&(i64::from(PAGE) * 999 - 1)])
        .await?
        .get(0);
    let first_and_other = [None, Some(u64::try_from(after)?)];
    let runs = alternate("elements, page after", rounds, &first_and_other, async |after| {
        Ok(page(&store, after).await?.as_secs_f64() * 1e3)
    })
    .await?;
    let [first, other] = first_and_other;
    table.rows.push(Row::new(
        "page 1,000 of 1,000,000 results",
        "ms",
        runs.of(other),
        ("the first page", runs.of(first)),
        Goal::AtMost(2.0),
    ));
    Ok(())
}

/// The mean time to read a page.
async fn page(store: &PostgresStore, after: Option<u64>) -> anyhow::Result<Duration> {
    let query = ElementQuery {
        execution: 1,
        after,
        limit: PAGE,
        ..ElementQuery::default()
    };
    let began = Instant::now();
    for _ in 0..READS {
        let page = store.elements(&query).await?;
        ensure!(page.len() == usize::try_from(PAGE)?, "{} elements", page.len());
    }
    Ok(began.elapsed() / READS)
}
