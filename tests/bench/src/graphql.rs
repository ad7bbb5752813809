//! Measures GraphQL of the console, over HTTP, on PostgreSQL: devices with their interfaces, and long lists page by page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_store::Schema as _;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::console::{self, SECRET};
use crate::processes::memory_kib;
use crate::rounds::{Side, alternate};
use crate::scene::Host;
use crate::table::{Goal, Row, Table};

/// Elements of one execution.
const ELEMENTS: u32 = 1_000_000;
/// Requests of one round.
const REQUESTS: u32 = 20;

/// Twenty interfaces for each device.
const INTERFACES: &str = "\
    INSERT INTO interface (device_id, name) SELECT id, 'Ethernet' || port FROM device CROSS JOIN generate_series(1, 20) AS port";

/// One execution with ended elements, among those of another one.
const FILL: &str = "\
    INSERT INTO execution (id, task_number, task, provider, task_arguments, requested, run_on, source, message_id, kind, at, state, \
        in_canary, elements, done, stage_elements, stage_ended, ended_at) \
    SELECT gen_random_uuid()::text, 7, 'ping', 'ping', 'null', '{\"task\": 7, \"execute_on_type\": \"DEVICE\"}', 'DEVICE', 'urn:bench', \
        n::text, 'lockstep.task.requested', now(), 'SUCCESSFUL', false, 1000000, 1000000, 1000000, 1000000, now() \
    FROM generate_series(1, 2) AS n; \
    INSERT INTO element (execution, entity_type, entity_id, name, hostname, state, outcome, attempts, started_at, ended_at, message, \
        data) \
    SELECT (SELECT min(number) FROM execution) + n % 2, 'DEVICE', n, 'access-' || n, 'access-' || n, 'SUCCESSFUL', \
        CASE WHEN n % 200 < 2 THEN 'failed' ELSE 'done' END, 1, now(), now(), 'answered', '\"x\"' \
    FROM generate_series(1, 2000000) AS n";

/// A hundred devices with their interfaces.
const DEVICES: &str = "{ devices(first: 100) { nodes { hostname synchronized state \
    interfaces(first: 20) { nodes { id name } pageInfo { hasNextPage } } } } }";

const DEVICE_PAGES: &str = "query($after: String) { page: devices(first: 1000, after: $after) \
    { nodes { id hostname state synchronized } pageInfo { hasNextPage endCursor } } }";

const ELEMENT_PAGES: &str = "query($after: String) { execution(id: 1) { page: elements(first: 1000, after: $after) \
    { nodes { id name state message } pageInfo { hasNextPage endCursor } } } }";

/// Measures the console on a store with this number of devices, each with 20 interfaces.
///
/// # Errors
/// The database rejects a statement, or an answer is not whole.
pub(crate) async fn measure(host: &Host, devices: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let scene = host.scene(devices).await?;
    let client = scene.schema.connect().await?;
    client.batch_execute(INTERFACES).await?;
    client.batch_execute(FILL).await?;
    for of in ["device", "interface", "execution", "element"] {
        client.batch_execute(&format!("VACUUM ANALYZE {of}")).await?;
    }
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    let console = Server::start(&store).await?;
    let runs = alternate(
        "graphql, devices with interfaces",
        rounds,
        &Side::BOTH,
        async |side| {
            let mut took = Duration::ZERO;
            for _ in 0..REQUESTS {
                let began = Instant::now();
                match side {
                    Side::Baseline => store.ping().await?,
                    Side::Lockstep => whole(&console.ask(DEVICES, Value::Null).await?)?,
                }
                took += began.elapsed();
            }
            Ok(took.as_secs_f64() * 1e3 / f64::from(REQUESTS))
        },
    )
    .await?;
    table.rows.push(Row::new(
        format!("100 of {devices} devices with 20 interfaces each, by GraphQL"),
        "ms",
        runs.of(Side::Lockstep),
        ("nothing", runs.of(Side::Baseline)),
        Goal::Plus(100.0),
    ));
    for (what, query, at, entries) in [
        ("devices", DEVICE_PAGES, "/page", devices),
        ("elements", ELEMENT_PAGES, "/execution/page", ELEMENTS),
    ] {
        pages(&console, what, (query, at), entries, table).await?;
    }
    console.stop.cancel();
    Ok(())
}

/// Goes through a whole list, and adds what its pages took and how much the process grew.
async fn pages(
    console: &Server,
    what: &str,
    (query, at): (&str, &str),
    entries: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    let memory = || memory_kib(std::process::id(), "VmRSS");
    let (mut times, mut found, mut after, mut first) = (Vec::new(), 0, Value::Null, None);
    loop {
        let began = Instant::now();
        let answer = console.ask(query, json!({"after": after})).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        // The first page fills pools and buffers.
        first.get_or_insert(memory()?);
        let page = answer.pointer(at).context("a page")?;
        found += page["nodes"].as_array().context("nodes")?.len();
        if page["pageInfo"]["hasNextPage"] != json!(true) {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    ensure!(found == entries as usize, "{found} of {entries} {what}");
    let grown = (memory()? - first.unwrap_or_default()) / 1024.0;
    times.sort_by(f64::total_cmp);
    let of = |percent: usize| times[(times.len() - 1) * percent / 100];
    table.rows.push(Row::new(
        format!("page of 1,000 of {entries} {what} by GraphQL, p99"),
        "ms",
        &[of(99)],
        ("p50", &[of(50)]),
        Goal::None,
    ));
    table.rows.push(Row::new(
        format!("memory after all pages of {entries} {what}, beyond that after the first"),
        "MiB",
        &[grown],
        ("nothing", &[0.0]),
        Goal::Plus(64.0),
    ));
    Ok(())
}

/// Whether an answer has a hundred devices with twenty interfaces each.
fn whole(answer: &Value) -> anyhow::Result<()> {
    let nodes = answer["devices"]["nodes"].as_array().context("devices")?;
    let ports = nodes
        .iter()
        .map(|node| node["interfaces"]["nodes"].as_array().map_or(0, Vec::len));
    let ports: usize = ports.sum();
    ensure!(nodes.len() == 100 && ports == 2000, "{} {ports}", nodes.len());
    Ok(())
}

/// A console with its client.
struct Server {
    url: String,
    client: reqwest::Client,
    stop: CancellationToken,
}

impl Server {
    async fn start(store: &Arc<PostgresStore>) -> anyhow::Result<Self> {
        let (url, stop) = console::serve(store).await?;
        Ok(Self {
            url: format!("{url}/graphql"),
            client: console::client()?,
            stop,
        })
    }

    /// The data of an answer without errors.
    async fn ask(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let request = self
            .client
            .post(&self.url)
            .bearer_auth(SECRET)
            .header("content-type", "application/json")
            .body(json!({"query": query, "variables": variables}).to_string());
        let body = request.send().await?.bytes().await?;
        let mut answer: Value = serde_json::from_slice(&body)?;
        ensure!(answer.get("errors").is_none(), "{answer}");
        Ok(answer["data"].take())
    }
}
