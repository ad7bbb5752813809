//! What a run cycle with all fourteen steps costs that do nothing, on fleets of growing size.

use anyhow::ensure;
use lockstep_protocol::commands::ExecuteOn;

use crate::elements::{ALL_STEPS, Setup, run_on_workers, saved};
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table, median};

/// Devices in a group; each is in one.
const GROUP: u32 = 50;
/// Interfaces of a device.
const INTERFACES: u32 = 48;
/// The fleets, by their devices.
const SIZES: [u32; 3] = [250, 500, 1000];
/// Elements at once, over all workers.
const PLACES: u32 = 256;

/// Adds groups with two clients each, and to each device the interfaces, with a client on every fourth.
const FILL: &str = "\
    INSERT INTO device_group (name) SELECT 'group-' || number FROM generate_series(1, $1 / $2) AS number; \
    INSERT INTO group_member (device_id, group_id) \
        SELECT device.id, device_group.id FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM device) AS device \
        JOIN device_group ON device_group.name = 'group-' || ((device.place - 1) / $2 + 1); \
    INSERT INTO interface (device_id, name) \
        SELECT device.id, 'Ethernet' || number FROM device CROSS JOIN generate_series(1, $3) AS number; \
    INSERT INTO client (mac, interface_id) SELECT mac('02', id), id FROM interface WHERE id % 4 = 0; \
    INSERT INTO client (mac, group_id) SELECT mac('06', id * 2 + number), id \
        FROM device_group CROSS JOIN generate_series(0, 1) AS number; \
    ANALYZE;";

/// Makes MAC addresses of numbers.
const MAC: &str = "\
    CREATE FUNCTION mac(first text, number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS \
    $$ SELECT first || regexp_replace(lpad(to_hex(number), 10, '0'), '(..)', ':\\1', 'g') $$";

/// The medians of a fleet.
#[derive(Clone, Debug, Default)]
struct Measured {
    seconds: Vec<f64>,
    /// CPU time of the workers, in seconds.
    cpu: Vec<f64>,
}

/// Adds the rows.
///
/// # Errors
/// A server rejects a request, or an entity has no result.
pub(super) async fn measure(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let [_, _, largest] = SIZES;
    let setups = SIZES
        .map(|devices| (devices, 1))
        .into_iter()
        .chain([(largest, 2)]);
    let setups: Vec<(u32, u32)> = setups.collect();
    let mut all = vec![Measured::default(); setups.len()];
    for round in 1..=rounds {
        for ((devices, workers), measured) in setups.iter().zip(&mut all) {
            let (seconds, cpu) = one(host, *devices, *workers).await?;
            eprintln!(
                "cycle, round {round}: all steps on {devices} devices, {workers} workers: {seconds:.2} s, CPU {cpu:.2} s"
            );
            measured.seconds.push(seconds);
            measured.cpu.push(cpu);
        }
    }
    let medians: Vec<(f64, f64)> = all
        .into_iter()
        .map(|measured| (median(measured.seconds), median(measured.cpu)))
        .collect();
    let [(small, small_cpu), _, (large, large_cpu), (pair, _)] = medians[..] else {
        anyhow::bail!("{} medians", medians.len());
    };
    let [least, _, most] = SIZES;
    let per = |seconds: f64, count: u32| seconds * 1e6 / f64::from(count);
    let mut add = |what: &str, ours, other, goal| table.rows.push(Row::new(what, "µs", ours, other, goal));
    let linear = Goal::AtMost(1.2);
    add(
        "all steps on 1,000 devices with 48 interfaces: for an element",
        per(large, elements(most)),
        ("of 250 devices", per(small, elements(least))),
        linear,
    );
    add(
        "the same for an entity",
        per(large, entities(most)),
        ("of 250 devices", per(small, entities(least))),
        linear,
    );
    add(
        "CPU of the worker for an entity",
        per(large_cpu, entities(most)),
        ("of 250 devices", per(small_cpu, entities(least))),
        linear,
    );
    add(
        "for an entity by two workers",
        per(pair, entities(most)),
        ("by one", per(large, entities(most))),
        Goal::AtMost(1.0),
    );
    Ok(())
}

/// The fleet, groups, devices.
fn elements(devices: u32) -> u32 {
    1 + devices / GROUP + devices
}

/// What has a result: the fleet, groups, their clients, each device twice (as one that is connected to and by itself), its interfaces, and
/// their clients.
fn entities(devices: u32) -> u32 {
    1 + devices / GROUP * 3 + devices * (2 + INTERFACES + INTERFACES / 4)
}

/// Runs all steps on everything. Returns the time and the CPU time of the workers, in seconds.
async fn one(host: &Host, devices: u32, workers: u32) -> anyhow::Result<(f64, f64)> {
    let scene = host.scene(devices).await?;
    fill(&scene, devices).await?;
    let request = saved(&scene, ALL_STEPS, "{}", ExecuteOn::Global, Vec::new()).await?;
    let setup = Setup {
        elements: elements(devices),
        latency: 0,
        workers,
        places: PLACES / workers,
        cap: None,
        on: None,
        cluster: None,
    };
    let ran = run_on_workers(&scene, setup, request).await?;
    let count = "SELECT count(*) FROM entity_result WHERE state = 'SUCCESSFUL'";
    let count: i64 = scene.schema.connect().await?.query_one(count, &[]).await?.get(0);
    ensure!(
        count == i64::from(entities(devices)),
        "{count} of {} entities have a result",
        entities(devices)
    );
    Ok((ran.seconds, ran.cpu * f64::from(elements(devices)) / 1e6))
}

async fn fill(scene: &Scene, devices: u32) -> anyhow::Result<()> {
    let client = scene.schema.connect().await?;
    let fill = FILL
        .replace("$1", &devices.to_string())
        .replace("$2", &GROUP.to_string())
        .replace("$3", &INTERFACES.to_string());
    client.batch_execute(MAC).await?;
    client.batch_execute(&fill).await?;
    client.batch_execute("CHECKPOINT").await?;
    Ok(())
}
