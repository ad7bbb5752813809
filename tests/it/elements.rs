//! A worker is killed by SIGKILL at each step of elements: another one finishes them, each ends once, and all of it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested, TaskSaveRequested};
use lockstep_protocol::topology::Queue;
use lockstep_protocol::{Envelope, ExecutionState, Identity, Message, WorkResult};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{ElementQuery, ExecutionQuery, ExecutionRow, Executions, Keys, UnitOfWork};
use lockstep_testbed::wait;
use serde_json::Value;

use crate::system::load::{envelope, outgoing};
use crate::system::{Expected, Ground, Load, PATIENCE, Scene, Sent};

const DEVICES: u64 = 12;
const APPLIED: Expected = Expected::Applied { flags: None };

fn open(scene: &Scene, ground: Ground) -> Result<(Arc<dyn Executions>, Arc<dyn UnitOfWork>)> {
    Ok(match ground {
        Ground::Servers => {
            let store = PostgresStore::connect(PostgresOptions::new(scene.direct_store_url()?))?;
            (store.clone(), store)
        }
        Ground::Embedded => {
            let file = scene.folder().join("lockstep-data/store.sqlite");
            let store = SqliteStore::open(SqliteOptions::new(file))?;
            (store.clone(), store)
        }
    })
}

/// How many of these elements ended and are not announced.
async fn untold(store: &dyn UnitOfWork, elements: &BTreeSet<u64>) -> Result<usize> {
    let (_, mut transaction) = store.begin(&[], &Keys::default()).await?;
    Ok(transaction
        .executions()
        .unannounced(Some(elements), 100)
        .await?
        .len())
}

async fn ended(executions: &dyn Executions) -> Result<ExecutionRow> {
    let query = ExecutionQuery {
        limit: 1,
        ..ExecutionQuery::default()
    };
    let row = wait::until("the end of the execution", PATIENCE, async || {
        let found = executions
            .executions(&query)
            .await
            .map_err(|error| error.to_string())?;
        let row = found.into_iter().next().ok_or("there is none")?;
        if row.state.is_final() {
            Ok(row)
        } else {
            Err(format!("{row:?}"))
        }
    })
    .await?;
    Ok(row)
}

/// The results of elements and of executions, by identity. Two different ones with the same identity are an error.
async fn results(bus: &dyn Bus) -> Result<BTreeMap<Identity, WorkResult>> {
    let options = ConsumeOptions {
        prefetch: 1000,
        acknowledge: Acknowledge::Each,
    };
    let mut consumer = bus.consume(Queue::Results, options).await?;
    let mut results = BTreeMap::new();
    let elements = |results: &BTreeMap<Identity, WorkResult>| {
        let elements = results
            .values()
            .filter(|result| matches!(result, WorkResult::ElementFinished(_)));
        elements.count() as u64
    };
    while elements(&results) < DEVICES {
        let taken = tokio::time::timeout(PATIENCE, consumer.take(100)).await;
        let batch = taken
            .with_context(|| format!("results of elements are missing; there are {results:?}"))?
            .context("the bus was closed")?;
        for delivery in &batch.deliveries {
            let envelope = Envelope::decode(&delivery.body)?.envelope;
            if let Message::Result(
                result @ (WorkResult::ElementFinished(_) | WorkResult::ExecutionFinished(_)),
            ) = envelope.message
            {
                let before = results.insert(envelope.identity, result.clone());
                ensure!(before.is_none_or(|before| before == result), "{result:?}");
            }
        }
        batch.receipt.ack().await;
    }
    consumer.close().await;
    Ok(results)
}

async fn killed_at(ground: Ground, point: &str) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let fleet = Load {
        devices: usize::try_from(DEVICES)?,
        events: 0,
    };
    let save = envelope(TaskSaveRequested {
        name: "ping".to_owned(),
        description: None,
        provider: "ping".to_owned(),
        arguments: Value::Null,
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        run_input_json_schema: None,
        run_input_ui_schema: None,
    });
    let before = [fleet.fleet(), save];
    let sent: Sent = before
        .iter()
        .map(|message| (message.identity.clone(), APPLIED))
        .collect();
    let bus = scene.bus().await?;
    bus.publish(before.iter().map(outgoing).collect()).await?;
    bus.close().await;
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;

    let request = envelope(TaskRequested {
        task: "ping".into(),
        // The first devices of a new store.
        execute_on: (1..=DEVICES).collect(),
        execute_on_names: Vec::new(),
        execute_on_type: ExecuteOn::Device,
        dry_run: true,
        arguments: Value::Null,
        limits: RunLimits::default(),
    });
    let bus = scene.bus().await?;
    bus.publish(vec![outgoing(&request)]).await?;
    bus.close().await;
    let mut first = scene.worker(&[("LOCKSTEP_FAIL_POINT", &format!("{point}:1:kill"))])?;
    let status = first.ended().await?;
    ensure!(
        status.signal() == Some(9),
        "the worker ended with {status}: {}",
        first.log()?
    );

    let second = scene.worker(&[])?;
    let (executions, store) = open(&scene, ground)?;
    let row = ended(&*executions).await?;
    // The devices do not exist.
    ensure!(
        row.state == ExecutionState::Failed && row.counts.failed == DEVICES,
        "{row:?}"
    );
    let query = ElementQuery {
        execution: row.number,
        limit: 100,
        ..ElementQuery::default()
    };
    let elements = executions.elements(&query).await?;
    ensure!(
        elements.iter().all(|element| element.attempts <= 2),
        "{elements:?}"
    );
    ensure!(
        elements
            .iter()
            .all(|element| element.reason.as_deref() != Some("interrupted")),
        "{elements:?}"
    );
    // What was committed and not told is told by the periodic task. In PostgreSQL, rows that it has locked are not among the untold ones, so the
    // results are awaited before it is stopped; the embedded bus is open in one process only.
    let early = match ground {
        Ground::Servers => Some(results(&*scene.bus().await?).await?),
        Ground::Embedded => None,
    };
    let numbers: BTreeSet<u64> = elements.iter().map(|element| element.number).collect();
    wait::until("that all ends are told", PATIENCE, async || {
        untold(&*store, &numbers).await.is_ok_and(|left| left == 0)
    })
    .await?;
    second.stop().await?;
    let results = match early {
        Some(results) => results,
        None => results(&*scene.bus().await?).await?,
    };
    let finished: BTreeSet<u64> = results
        .values()
        .filter_map(|result| match result {
            WorkResult::ElementFinished(finished) => Some(finished.entity),
            _ => None,
        })
        .collect();
    ensure!(
        finished.len() as u64 == DEVICES,
        "one result for each element: {results:?}"
    );
    Ok(())
}

killed_at! {
    after_claim: "after-claim",
    element_ran: "element-ran",
    after_finish: "after-finish",
}
