//! Measures what many viewers of one execution cost a console, who follow it by server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use lockstep_testbed::{Schema, wait};
use reqwest::{Client, Response};
use tokio_util::sync::CancellationToken;

use crate::console::{SECRET, Separate, client};
use crate::processes::{cpu_time, memory_kib};
use crate::scene::Host;
use crate::table::{Goal, Row, Table};

/// Browsers that look at the page of one execution.
const VIEWERS: u64 = 500;
/// How many open the page at once: a console has a bound of requests in flight.
const AT_ONCE: usize = 32;
/// How long they look.
const LOOK: Duration = Duration::from_mins(1);
/// How often the execution changes: as often as it is read while it changes.
const EVERY: Duration = Duration::from_millis(250);

const EXECUTION: &str = "\
    INSERT INTO execution (id, task_number, task, provider, task_arguments, requested, run_on, source, message_id, kind, at, state, \
        in_canary, elements, stage_elements) \
    SELECT gen_random_uuid()::text, 7, 'ping', 'ping', 'null', '{\"task\": 7, \"execute_on_type\": \"DEVICE\"}', 'DEVICE', 'urn:bench', \
        '1', 'lockstep.task.requested', now(), 'RUNNING', false, 1000000, 1000000";

/// What a console used within [`LOOK`].
struct Used {
    /// Seconds of a processor within a minute.
    cpu: f64,
    /// The memory of the process at the end, in MiB.
    memory: f64,
}

/// Measures a console without viewers and with [`VIEWERS`].
///
/// # Errors
/// The database rejects a statement, or a viewer gets no event.
pub(crate) async fn measure(host: &Host, table: &mut Table) -> anyhow::Result<()> {
    let scene = host.scene(1).await?;
    scene.schema.connect().await?.batch_execute(EXECUTION).await?;
    let console = Separate::start(&scene.schema.url()).await?;
    let (alone, watched) = tokio::select! {
        changed = change(&scene.schema) => match changed? {},
        compared = compare(&console) => compared?,
    };
    let what = format!("a console with {VIEWERS} viewers of one execution that changes 4 times a second");
    table.rows.push(Row::new(
        format!("CPU of {what}"),
        "s/min",
        &[watched.cpu],
        ("no viewer", &[alone.cpu]),
        Goal::Plus(30.0),
    ));
    table.rows.push(Row::new(
        format!("memory of {what}"),
        "MiB",
        &[watched.memory],
        ("no viewer", &[alone.memory]),
        Goal::Plus(64.0),
    ));
    Ok(())
}

/// Changes the execution until the future is dropped.
async fn change(schema: &Schema) -> anyhow::Result<Infallible> {
    let database = schema.connect().await?;
    loop {
        let change = "UPDATE execution SET done = done + 1, stage_ended = stage_ended + 1";
        database.batch_execute(change).await?;
        tokio::time::sleep(EVERY).await;
    }
}

/// What the console uses without viewers, and with all of them.
async fn compare(console: &Separate) -> anyhow::Result<(Used, Used)> {
    let alone = used(console).await?;
    let stop = CancellationToken::new();
    // Ends the viewers after an error, too.
    let _ends = stop.clone().drop_guard();
    let received: Arc<AtomicU64> = Arc::default();
    let client = client()?;
    let open = stream::iter(0..VIEWERS).map(|_| open(&client, &console.url));
    let open: Vec<Response> = open.buffer_unordered(AT_ONCE).try_collect().await?;
    let viewers: Vec<_> = open
        .into_iter()
        .map(|answer| tokio::spawn(look(answer, received.clone(), stop.clone())))
        .collect();
    wait::until(
        "an event for each viewer",
        Duration::from_secs(30),
        async || match received.load(Ordering::Relaxed) {
            fewer if fewer < VIEWERS => Err(format!("{fewer} events")),
            _ => Ok(()),
        },
    )
    .await?;
    let before = received.load(Ordering::Relaxed);
    let watched = used(console).await?;
    let events = received.load(Ordering::Relaxed) - before;
    stop.cancel();
    for viewer in try_join_all(viewers).await? {
        viewer?;
    }
    eprintln!("{VIEWERS} viewers got {events} events");
    ensure!(events >= VIEWERS * 60, "only {events} events");
    Ok((alone, watched))
}

async fn used(console: &Separate) -> anyhow::Result<Used> {
    let pid = console.pid()?;
    let (began, before) = (Instant::now(), cpu_time(pid)?);
    tokio::time::sleep(LOOK).await;
    let cpu = cpu_time(pid)?.saturating_sub(before).as_secs_f64();
    Ok(Used {
        cpu: cpu / began.elapsed().as_secs_f64() * 60.0,
        memory: memory_kib(pid, "VmRSS")? / 1024.0,
    })
}

/// Opens the page's stream of events.
async fn open(client: &Client, url: &str) -> anyhow::Result<Response> {
    let request = client.get(format!("{url}/executions/1/events"));
    Ok(request.bearer_auth(SECRET).send().await?.error_for_status()?)
}

/// Reads events until `stop`.
async fn look(mut answer: Response, received: Arc<AtomicU64>, stop: CancellationToken) -> anyhow::Result<()> {
    while let Some(chunk) = stop.run_until_cancelled(answer.chunk()).await {
        let Some(bytes) = chunk? else { break };
        let events = bytes.windows(7).filter(|window| window == b"event: ").count();
        received.fetch_add(events as u64, Ordering::Relaxed);
    }
    Ok(())
}
