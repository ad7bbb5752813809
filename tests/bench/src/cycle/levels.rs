//! What a run cycle with all fourteen steps costs that do nothing, on fleets of growing size.

use anyhow::ensure;
use lockstep_protocol::commands::ExecuteOn;

use crate::elements::{ALL_STEPS, Setup, run_on_workers, saved};
use crate::rounds::alternate;
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

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
    let runs = alternate(
        "cycle, devices and workers",
        rounds,
        &setups,
        async |(devices, workers)| one(host, devices, workers).await,
    )
    .await?;
    let [least, _, most] = SIZES;
    let seconds = |setup: (u32, u32), count: fn(u32) -> u32| {
        runs.each(setup, |(seconds, _)| seconds * 1e6 / f64::from(count(setup.0)))
    };
    let cpu = |setup: (u32, u32)| runs.each(setup, |(_, cpu)| cpu * 1e6 / f64::from(entities(setup.0)));
    let (small, large, pair) = ((least, 1), (most, 1), (most, 2));
    let mut add = |what: &str, ours: &[f64], (who, others): (&'static str, Vec<f64>), goal| {
        table.rows.push(Row::new(what, "µs", ours, (who, &others), goal));
    };
    let linear = Goal::AtMost(1.2);
    add(
        "all steps on 1,000 devices with 48 interfaces: for an element",
        &seconds(large, elements),
        ("of 250 devices", seconds(small, elements)),
        linear,
    );
    add(
        "the same for an entity",
        &seconds(large, entities),
        ("of 250 devices", seconds(small, entities)),
        linear,
    );
    add(
        "CPU of the worker for an entity",
        &cpu(large),
        ("of 250 devices", cpu(small)),
        linear,
    );
    add(
        "for an entity by two workers",
        &seconds(pair, entities),
        ("by one", seconds(large, entities)),
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
