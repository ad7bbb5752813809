//! Executions on one or two workers: against the time that the elements take at least, and what an element costs that does nothing.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::{Bus, Outgoing, Properties};
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskReference, TaskRequested};
use lockstep_protocol::topology::{Destination, Lane};
use lockstep_protocol::{Envelope, Message, Source};
use serde_json::json;
use tokio::process::{Child, Command};

use super::worker::{ClusterAccess, PROVIDER};
use crate::devices::Fleet;
use crate::processes::{cpu_time, memory_kib};
use crate::rounds::alternate;
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

/// What a device takes for each element.
const LATENCY: u32 = 100;

/// How an execution is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) elements: u32,
    /// What each element takes, in milliseconds.
    pub(crate) latency: u32,
    pub(crate) workers: u32,
    /// Elements at once on each worker.
    pub(crate) places: u32,
    /// Elements at once on all workers.
    pub(crate) cap: Option<u32>,
    /// What runs on simulated devices; without it, a provider waits.
    pub(crate) on: Option<OnDevices<'a>>,
    /// The cluster of CloudVision that the workers know.
    pub(crate) cluster: Option<&'a ClusterAccess>,
}

/// A task on simulated devices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnDevices<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) provider: &'static str,
    /// The arguments of the task, as JSON.
    pub(crate) arguments: &'static str,
}

/// The measurement of an execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    /// From the begin of the first element to the end of the last one.
    pub(crate) seconds: f64,
    /// CPU time of all workers for an element, in microseconds.
    pub(crate) cpu: f64,
    /// Elements in a second.
    pub(crate) rate: f64,
    /// How much more memory all workers had at most than before the execution, in KiB.
    pub(crate) growth_kib: f64,
    /// The size of the shortest result, in bytes.
    pub(crate) least_data: usize,
}

/// Measures elements that take 100 ms.
///
/// # Errors
/// A server rejects a request, or an element was not done.
pub(super) async fn waiting(
    host: &Host,
    elements: u32,
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    let one = Setup {
        elements,
        latency: LATENCY,
        workers: 1,
        places: 256,
        cap: None,
        on: None,
        cluster: None,
    };
    let small = Setup {
        elements: elements / 4,
        places: 64,
        ..one
    };
    let pair = Setup {
        workers: 2,
        places: 128,
        ..one
    };
    let small_pair = Setup { workers: 2, ..small };
    let capped = Setup {
        cap: Some(256),
        ..pair
    };
    let setups = [
        ("256 at once", one),
        ("64 at once", small),
        ("64 at once on each of two", small_pair),
        ("two workers", pair),
        ("two workers under a cap", capped),
    ];
    let names = setups.map(|(name, _)| name);
    let runs = alternate("elements", rounds, &names, async |name| {
        let (_, setup) = setups
            .iter()
            .find(|(other, _)| *other == name)
            .expect("it is one of them");
        Ok(execute(host, *setup).await?.rate)
    })
    .await?;
    let [one, small, small_pair, pair, capped] = names.map(|name| runs.of(name));
    let ideal = [256.0 * 1e3 / f64::from(LATENCY)];
    let mut add = |what: &str, ours, other, goal| {
        table
            .rows
            .push(Row::new(what, "/s", ours, other, Goal::Times(goal)));
    };
    add(
        &format!("{elements} elements of 100 ms, 256 at once"),
        one,
        ("ideal", &ideal[..]),
        0.9,
    );
    add(
        "two workers, 64 elements of 100 ms at once on each",
        small_pair,
        ("one worker", small),
        1.9,
    );
    add(
        "two workers under an overall cap of 256",
        capped,
        ("without", pair),
        0.9,
    );
    Ok(())
}

/// Measures elements that do nothing: executions of growing size.
///
/// # Errors
/// A server rejects a request, or an element was not done.
pub(super) async fn empty(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    const SIZES: [u32; 4] = [100, 1000, 10_000, 100_000];
    let runs = alternate("elements that do nothing", rounds, &SIZES, async |elements| {
        let setup = Setup {
            elements,
            latency: 0,
            workers: 1,
            places: 256,
            cap: None,
            on: None,
            cluster: None,
        };
        execute(host, setup).await
    })
    .await?;
    let [_, thousand, ten_thousand, largest] = SIZES;
    let each = |elements| runs.each(elements, |ran| ran.seconds * 1e6 / f64::from(elements));
    let cpu = |elements| runs.each(elements, |ran| ran.cpu);
    let mut add = |what: &str, ours: &[f64], (who, others): (&'static str, Vec<f64>)| {
        table
            .rows
            .push(Row::new(what, "µs", ours, (who, &others), Goal::AtMost(1.2)));
    };
    add(
        "an element that does nothing, of 10,000",
        &each(ten_thousand),
        ("of 1,000", each(thousand)),
    );
    add(
        "an element that does nothing, of 100,000",
        &each(largest),
        ("of 10,000", each(ten_thousand)),
    );
    add(
        "CPU of the worker for it, of 100,000",
        &cpu(largest),
        ("of 10,000", cpu(ten_thousand)),
    );
    Ok(())
}

/// Runs an execution on all devices, or on the simulated ones, on workers of its own.
///
/// # Errors
/// A server rejects a request, or an element was not done.
pub(crate) async fn execute(host: &Host, setup: Setup<'_>) -> anyhow::Result<Ran> {
    let scene = host.scene(setup.elements).await?;
    let (provider, arguments) = setup
        .on
        .map_or((PROVIDER, "{}"), |on| (on.provider, on.arguments));
    let on = match setup.on {
        Some(on) => place(&scene, on.fleet).await?,
        None => Vec::new(),
    };
    let request = saved(&scene, provider, arguments, ExecuteOn::Device, on).await?;
    run(&scene, setup, request).await
}

/// Saves a task. Returns the request to run it on these entities; on all, if there are none.
///
/// # Errors
/// The database rejects the statement.
pub(crate) async fn saved(
    scene: &Scene,
    provider: &str,
    arguments: &str,
    execute_on_type: ExecuteOn,
    execute_on: Vec<u64>,
) -> anyhow::Result<TaskRequested> {
    let task = "INSERT INTO task (name, provider, arguments, saved_at) VALUES ('bench', $1, $2, now())";
    let client = scene.schema.connect().await?;
    client.execute(task, &[&provider, &arguments]).await?;
    Ok(TaskRequested {
        task: TaskReference::from("bench"),
        execute_on,
        execute_on_names: Vec::new(),
        execute_on_type,
        dry_run: true,
        arguments: json!({}),
        limits: RunLimits::default(),
    })
}

/// Publishes a request for an execution, and measures that on workers of its own.
///
/// # Errors
/// A server rejects a request, or an element was not done.
pub(crate) async fn run(
    scene: &Scene,
    setup: Setup<'_>,
    requested: impl Into<Message>,
) -> anyhow::Result<Ran> {
    let client = scene.schema.connect().await?;
    let workers: Vec<Child> = (0..setup.workers)
        .map(|_| start(scene, setup))
        .collect::<Result<_, _>>()?;
    scene.consumed(Lane::Devices, setup.workers).await?;
    scene.consumed(Lane::Executions, setup.workers).await?;
    if setup.cluster.is_some() {
        scene.consumed(Lane::Cvp, setup.workers).await?;
    }
    let cpu = || -> anyhow::Result<Duration> {
        let ids = workers.iter().map(|worker| worker.id().context("a worker ended"));
        ids.map(|id| cpu_time(id?)).sum()
    };
    let memory = |field: &str| -> anyhow::Result<f64> {
        let ids = workers.iter().map(|worker| worker.id().context("a worker ended"));
        ids.map(|id| memory_kib(id?, field)).sum()
    };
    let before = (cpu()?, memory("VmRSS")?);
    publish(scene, requested.into()).await?;
    let times = "SELECT CAST(extract(epoch FROM ended_at - started_at) AS double precision), done \
        FROM execution WHERE ended_at IS NOT NULL";
    let timeout = Duration::from_mins(10);
    let row = lockstep_testbed::wait::until("the end of the execution", timeout, async || {
        let row = client
            .query_opt(times, &[])
            .await
            .map_err(|error| error.to_string())?;
        row.ok_or_else(|| "it has not ended".to_owned())
    });
    let row = row.await?;
    let (seconds, done): (f64, i64) = (row.get(0), row.get(1));
    ensure!(
        done == i64::from(setup.elements),
        "{done} of {} elements are done",
        setup.elements
    );
    let cpu = cpu()?.saturating_sub(before.0);
    let growth_kib = memory("VmHWM")? - before.1;
    let least = "SELECT coalesce(min(octet_length(data)), 0) FROM element";
    let least: i32 = client.query_one(least, &[]).await?.get(0);
    Ok(Ran {
        seconds,
        cpu: cpu.as_secs_f64() * 1e6 / f64::from(setup.elements),
        rate: f64::from(setup.elements) / seconds,
        growth_kib,
        least_data: usize::try_from(least)?,
    })
}

/// Starts this program again as a worker.
fn start(scene: &Scene, setup: Setup<'_>) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("element-worker")
        .args(["--amqp", &scene.vhost.url()])
        .args(["--postgres", &scene.schema.url()])
        .args(["--latency", &setup.latency.to_string()])
        .args(["--places", &setup.places.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    if let Some(cap) = setup.cap {
        command.args(["--cap", &cap.to_string()]);
    }
    if let Some(OnDevices { fleet, .. }) = setup.on {
        command.args(["--port", &fleet.access.port.to_string()]);
        command.arg("--ca-file").arg(&fleet.access.ca_file);
    }
    if let Some(cluster) = setup.cluster {
        command.args(["--cluster", &cluster.cluster.to_string()]);
        command.arg("--cluster-ca-file").arg(&cluster.cluster_ca_file);
        command.args(["--concurrency", &cluster.concurrency.to_string()]);
    }
    Ok(command.spawn()?)
}

/// Gives each device the address of a simulated one. Returns their ids.
async fn place(scene: &Scene, fleet: &Fleet) -> anyhow::Result<Vec<u64>> {
    let addresses: Vec<String> = fleet.addresses().map(|address| address.to_string()).collect();
    let update = "UPDATE device SET management_ip = CAST(new.address AS inet) \
        FROM unnest($1::text[]) WITH ORDINALITY AS new (address, number), \
            (SELECT id, row_number() OVER (ORDER BY id) AS number FROM device) AS old \
        WHERE old.number = new.number AND device.id = old.id \
        RETURNING device.id";
    let client = scene.schema.connect().await?;
    let rows = client.query(update, &[&addresses]).await?;
    ensure!(rows.len() == addresses.len(), "{} devices", rows.len());
    let ids = rows.iter().map(|row| u64::try_from(row.get::<_, i64>(0)));
    Ok(ids.collect::<Result<_, _>>()?)
}

async fn publish(scene: &Scene, message: Message) -> anyhow::Result<()> {
    let source = Source::try_from("urn:lockstep:bench".to_owned())?;
    let kind = message.kind();
    let envelope = Envelope::new(source, SystemClock.now(), message);
    let bus = AmqpBus::connect(AmqpOptions::new(scene.vhost.url())).await?;
    let message = Outgoing {
        destination: Destination::Ingress(kind),
        properties: Properties {
            message_id: Some(envelope.identity.id.clone().into()),
            kind: Some(kind.as_str().into()),
            content_type: Some(lockstep_protocol::envelope::CONTENT_TYPE.into()),
            ..Properties::default()
        },
        body: envelope.encode().into(),
    };
    bus.publish(vec![message]).await?;
    bus.close().await;
    Ok(())
}
