//! Broker and database are lost, and restored as `docs/how-to/back-up-and-restore.md` says.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_protocol::commands::{
    DeadLetterRequeueRequested, ExecuteOn, RunLimits, ScheduleSaveRequested, TaskRequested, TaskSaveRequested,
};
use lockstep_protocol::{Envelope, Identity};
use lockstep_testbed::{Broker, Database, Schema, wait};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::system::load::{envelope, hostname, outgoing, update};
use crate::system::records::AuditRecord;
use crate::system::{Load, PATIENCE, Page, Process, Scene, shell};

const PAGE: &str = include_str!("../../docs/how-to/back-up-and-restore.md");
const DUMP: &str = "pg_dump --format=custom --file=lockstep.dump \"$DATABASE\"";
const RESTORE: &str = "pg_restore --exit-on-error --dbname=\"$DATABASE\" lockstep.dump";

const LOAD: Load = Load {
    devices: 10,
    events: 200,
};
/// A device of which an event comes before the device is known.
const LATE: usize = 99;

/// Runs a command of the page in this folder, with this database.
fn run(folder: &Path, command: &'static str, database: &str) -> Result<()> {
    ensure!(PAGE.contains(command), "{command} is not on the page");
    shell(folder, &format!("export DATABASE={database}\n{command}")).map(drop)
}

fn task(name: &str) -> TaskRequested {
    TaskRequested {
        task: name.into(),
        execute_on: Vec::new(),
        execute_on_names: (0..LOAD.devices)
            .map(|number| hostname(number).to_string())
            .collect(),
        execute_on_type: ExecuteOn::Device,
        dry_run: true,
        arguments: Value::Null,
        limits: RunLimits::default(),
    }
}

fn saved_task() -> Result<TaskSaveRequested> {
    Ok(serde_json::from_value(json!({
        "name": "versions", "provider": "command", "arguments": {"commands": ["show version"]},
    }))?)
}

fn schedule() -> ScheduleSaveRequested {
    ScheduleSaveRequested {
        name: "yearly".to_owned(),
        cron: "0 0 1 1 *".to_owned(),
        time_zone: None,
        task: task("versions"),
        enabled: true,
    }
}

/// Publishes as one principal: each broker of a test has another user, and workers have to trust it.
async fn publish(bus: &dyn Bus, messages: &[Envelope]) -> Result<()> {
    let by_netbox = |message: &Envelope| {
        outgoing(&Envelope {
            actor: Some("netbox".to_owned()),
            ..message.clone()
        })
    };
    bus.publish(messages.iter().map(by_netbox).collect()).await?;
    Ok(())
}

/// A worker that trusts the user of the test.
fn worker(scene: &Scene, bus: &dyn Bus, environment: &[(&str, &str)]) -> Result<Process> {
    let trusting = ("LOCKSTEP__BROKER__TRUSTED_USERS", bus.user());
    let all: Vec<(&str, &str)> = environment.iter().copied().chain([trusting]).collect();
    scene.worker(&all)
}

async fn ready(scene: &Scene, queue: &str, count: u64) -> Result<()> {
    let vhost = &scene.servers()?.vhost;
    wait::until(
        "the messages to be in their queue",
        PATIENCE,
        async || match vhost.queue(queue).await {
            Ok(Some(found)) if found.ready >= count => Ok(()),
            other => Err(format!("{:?}", other.map(|queue| queue.map(|queue| queue.ready)))),
        },
    )
    .await?;
    Ok(())
}

/// What is under way when both servers are lost.
struct UnderWay {
    /// What was processed.
    processed: Vec<Envelope>,
    /// What the broker had accepted and no worker had.
    accepted: Vec<Envelope>,
    audit: Vec<AuditRecord>,
}

/// Processes a load, and leaves a requeued dead letter in a queue, elements that a worker has claimed, and messages that no worker has.
async fn load(scene: &Scene) -> Result<(UnderWay, Process)> {
    let bus = scene.bus().await?;
    let late = update(&hostname(LATE));
    let everything = worker(scene, &*bus, &[])?;
    publish(&*bus, std::slice::from_ref(&late)).await?;
    scene.oracle().processed_at_least(1).await?;
    let mut processed = vec![LOAD.fleet()];
    processed.extend(LOAD.updates());
    publish(&*bus, &processed).await?;
    scene.oracle().processed_at_least(1 + processed.len()).await?;
    let device =
        json!({"devices": [{"hostname": hostname(LATE), "device_type": "ACCESS", "synchronized": true}]});
    let imported: lockstep_protocol::events::InventoryImported = serde_json::from_value(device)?;
    let rest = [envelope(imported), envelope(saved_task()?)];
    publish(&*bus, &rest).await?;
    processed.extend(rest);
    scene.oracle().processed_at_least(1 + processed.len()).await?;
    let saved = envelope(schedule());
    publish(&*bus, std::slice::from_ref(&saved)).await?;
    processed.push(saved);
    scene.oracle().processed_at_least(1 + processed.len()).await?;
    everything.stop().await?;

    // No worker consumes the lane `events`.
    let commands = worker(scene, &*bus, &[("LOCKSTEP__WORKER__LANES", "commands")])?;
    let dead = scene.oracle().records.dead_letters().await?;
    let dead = dead.values().next().context("a dead letter")?;
    let requeue = envelope(DeadLetterRequeueRequested {
        dead_letter: Some(u64::try_from(dead.number)?),
        matching: None,
    });
    publish(&*bus, std::slice::from_ref(&requeue)).await?;
    processed.push(requeue);
    ready(scene, "lockstep.lane.events", 1).await?;
    commands.stop().await?;

    let executions = [
        ("LOCKSTEP__WORKER__LANES", "executions,devices"),
        ("LOCKSTEP_FAIL_POINT", "after-claim:1:stop"),
    ];
    let mut stopped = worker(scene, &*bus, &executions)?;
    let request = envelope(task("versions"));
    publish(&*bus, std::slice::from_ref(&request)).await?;
    processed.push(request);
    stopped.stopped().await?;

    let accepted: Vec<Envelope> = (0..5).map(|number| update(&hostname(number))).collect();
    publish(&*bus, &accepted).await?;
    ready(scene, "lockstep.lane.events", 6).await?;
    bus.close().await;
    let audit = scene.oracle().records.audit().await?;
    ensure!(audit.len() == 4, "{audit:?}");
    processed.push(late);
    Ok((
        UnderWay {
            processed,
            accepted,
            audit,
        },
        stopped,
    ))
}

/// The schema of a scene, restored under the name of another one, which is empty.
async fn restore(folder: &Path, database: &Database, from: &str) -> Result<Schema> {
    let schema = database.schema().await?;
    run(folder, RESTORE, &database.url())?;
    let swap = format!(
        "DROP SCHEMA {0}; ALTER SCHEMA {from} RENAME TO {0}",
        schema.name()
    );
    schema.connect().await?.batch_execute(&swap).await?;
    Ok(schema)
}

/// State of each execution, and whether all its elements ended.
async fn executions(database: &Client) -> Result<Vec<(String, bool)>> {
    let all = "SELECT state, elements = done + failed + skipped FROM execution ORDER BY number";
    let rows = database.query(all, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn ended(database: &Client, count: usize) -> Result<()> {
    wait::until("executions to end", PATIENCE, async || {
        let found = executions(database).await.map_err(|error| format!("{error:#}"))?;
        let is_open =
            |(state, all): &(String, bool)| !all || ["PENDING", "RUNNING"].contains(&state.as_str());
        if found.len() == count && !found.iter().any(is_open) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_a_dump_beside_a_fresh_broker_loses_nothing_that_a_worker_had() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut broker, mut database) = (Broker::start().await?, Database::start().await?);
    let before = Scene::on(broker.vhost().await?, database.schema().await?).await?;
    let (under_way, stopped) = load(&before).await?;
    run(folder.path(), DUMP, &database.url())?;
    let lost_schema = before.servers()?.schema.name().to_owned();
    stopped.signal(Signal::KILL)?;
    drop((stopped, before));
    broker.kill().await?;
    database.kill().await?;
    drop((broker, database));

    let (broker, database) = (Broker::start().await?, Database::start().await?);
    let schema = restore(folder.path(), &database, &lost_schema).await?;
    let after = Scene::on(broker.vhost().await?, schema).await?;
    let client = after.servers()?.schema.connect().await?;
    let records = after.oracle().records;
    ensure!(
        records.audit().await? == under_way.audit,
        "the audit is that of the dump"
    );
    let bus = after.bus().await?;
    let worker = worker(&after, &*bus, &[("LOCKSTEP__RECONCILE__EVERY", "1s")])?;

    // The outbox: what was published to the lost broker is published to this one.
    wait::until("the dead letter to be processed", PATIENCE, async || {
        let dead = records
            .dead_letters()
            .await
            .map_err(|error| format!("{error:#}"))?;
        match dead.values().next() {
            Some(dead) if dead.state == "processed" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    // The worker that claimed them is gone: its time ends, and they run again.
    ended(&client, 1).await?;

    // Publishers that got no result send again, and some that got one do so, too.
    publish(&*bus, &under_way.processed).await?;
    publish(&*bus, &under_way.accepted).await?;
    let identities: Vec<&Identity> = under_way.accepted.iter().map(|event| &event.identity).collect();
    wait::until("the lost messages to be processed", PATIENCE, async || {
        let inbox = records.inbox().await.map_err(|error| format!("{error:#}"))?;
        let missing = identities
            .iter()
            .filter(|identity| !inbox.contains_key(identity))
            .count();
        if missing == 0 {
            Ok(())
        } else {
            Err(format!("{missing} are missing"))
        }
    })
    .await?;
    let again = "UPDATE schedule SET next_at = clock_timestamp() - interval '10 seconds'";
    ensure!(client.execute(again, &[]).await? == 1, "the schedule is there");
    ended(&client, 2).await?;
    worker.stop().await?;

    let devices = records.devices().await?;
    let per_device = i64::try_from(LOAD.events / LOAD.devices)?;
    for number in (0..LOAD.devices).chain([LATE]) {
        let flagged = devices[&hostname(number)];
        let expected = match number {
            LATE => 1,
            0..5 => per_device + 1,
            _ => per_device,
        };
        ensure!(
            flagged.desired - flagged.synced == expected,
            "{number}: {flagged:?}"
        );
    }
    let kept = records.audit().await?;
    ensure!(kept.starts_with(&under_way.audit), "{kept:?}");
    // The schedule asked on behalf of who saved it.
    ensure!(
        kept.len() == under_way.audit.len() + 1
            && kept
                .last()
                .is_some_and(|entry| entry.principal == kept[0].principal),
        "{kept:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_of_up_is_the_whole_state() -> Result<()> {
    let mut page = Page::new(PAGE, Vec::new())?;
    let folder = page.folder().to_owned();
    let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
    let up = Process::start(&folder, &arguments, &[])?;
    up.prints("lockstep messages show").await?;
    std::fs::write(
        folder.join("fleet.yml"),
        "- {hostname: sw1, device_type: ACCESS, platform: eos, synchronized: true}\n",
    )?;
    shell(
        &folder,
        "lockstep devices import fleet.yml\nlockstep devices mark sw1 --unsynchronized --reason drill",
    )?;
    up.stop().await?;
    for database in ["pg_dump", "pg_restore"] {
        page.block(database)?;
    }
    page.run("cp -a lockstep-data backup")?;

    let up = Process::start(&folder, &arguments, &[])?;
    up.prints("lockstep messages show").await?;
    shell(&folder, "lockstep devices remove sw1 --yes")?;
    up.stop().await?;
    page.run("cp -a backup lockstep-data")?;
    page.ended()?;

    let up = Process::start(&folder, &arguments, &[])?;
    up.prints("lockstep messages show").await?;
    let devices = page.json("devices list --unsynchronized")?;
    ensure!(devices[0]["hostname"] == "sw1", "{devices}");
    let audit = page.json("audit list")?;
    let reasons: Vec<&Value> = audit
        .as_array()
        .context("a list")?
        .iter()
        .map(|entry| &entry["reason"])
        .collect();
    ensure!(reasons.contains(&&json!("drill")), "{audit}");
    up.stop().await
}
