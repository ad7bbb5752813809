//! Metrics match what was processed.

use anyhow::{Result, ensure};
use lockstep_protocol::Kind;
use lockstep_testbed::{free_port, wait};

use super::{Shown, get};
use crate::system::load::{hostname, outgoing, raw, update};
use crate::system::{Ground, Load, PATIENCE, Scene};

const LOAD: Load = Load {
    devices: 10,
    events: 100,
};

#[tokio::test(flavor = "multi_thread")]
async fn counters_match_what_a_worker_processed() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let worker = scene.worker(&[("LOCKSTEP__WORKER__LISTEN", &listen)])?;
    let sent = LOAD.publish(&*bus).await?;
    scene.oracle().processed(&sent).await?;
    let stranger = update(&hostname(4711));
    bus.publish(vec![
        outgoing(&stranger),
        raw(Kind::InterfaceUpdated, "not-json", "this is no JSON"),
    ])
    .await?;

    // One fleet, a hundred events, two dead-lettered messages.
    let expected = [
        (
            "lockstep_deliveries_total{lane=\"events\",outcome=\"applied\"}",
            101.0,
        ),
        ("lockstep_deliveries_total{lane=\"events\",outcome=\"dead\"}", 2.0),
        (
            "lockstep_deliveries_total{lane=\"events\",outcome=\"retried\"}",
            0.0,
        ),
        (
            "lockstep_dead_total{lane=\"events\",code=\"unknown-device\"}",
            1.0,
        ),
        ("lockstep_dead_total{lane=\"events\",code=\"invalid-json\"}", 1.0),
        ("lockstep_in_flight{lane=\"events\"}", 0.0),
        ("lockstep_retries_total{lane=\"events\",delay=\"5s\"}", 0.0),
        (
            "lockstep_deliveries_total{lane=\"commands\",outcome=\"applied\"}",
            0.0,
        ),
        ("lockstep_broker_connected", 1.0),
        ("lockstep_store_up", 1.0),
        ("lockstep_replies_bypassed_total", 0.0),
        ("lockstep_store_sessions_limit", 16.0),
    ];
    wait::until("the metrics of the processed messages", PATIENCE, async || {
        let shown = Shown::of(&listen).await.map_err(|error| format!("{error:#}"))?;
        shown.expect(&expected).map_err(|error| error.to_string())
    })
    .await?;

    let shown = Shown::of(&listen).await?;
    let batches = shown.value("lockstep_batch_seconds_count{lane=\"events\"}");
    ensure!(
        batches.is_some_and(|batches| (1.0..=103.0).contains(&batches)),
        "{batches:?}"
    );
    ensure!(
        shown
            .value("lockstep_store_wait_seconds_count")
            .is_some_and(|waits| waits > 0.0)
    );
    let fleet = shown
        .0
        .keys()
        .any(|series| series.starts_with("lockstep_devices"));
    ensure!(!fleet, "only the console shows the fleet");
    let (status, problem) = get(&listen, "/v1/devices").await?;
    ensure!(status == 404, "a worker serves nothing else: {problem}");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_of_one_process_shows_worker_and_fleet() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let console = format!("127.0.0.1:{}", free_port()?);
    let gateway = format!("127.0.0.1:{}", free_port()?);
    let process = scene.run(&["up", "--listen", &console, "--gateway-listen", &gateway], &[])?;
    let fleet = "- {hostname: sw1, device_type: ACCESS, platform: eos, synchronized: true}
- {hostname: sw2, device_type: ACCESS, platform: eos, synchronized: false}
- {hostname: sw3, device_type: ACCESS, platform: eos, state: UNMANAGED, synchronized: false}
";
    std::fs::write(scene.folder().join("fleet.yml"), fleet)?;
    wait::until("the console to be ready", PATIENCE, async || {
        match get(&console, "/readyz").await {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    scene
        .run(&["devices", "import", "fleet.yml"], &[])?
        .ended()
        .await?;

    let expected = [
        ("lockstep_devices{state=\"MANAGED\"}", 2.0),
        ("lockstep_devices_unsynchronized{state=\"MANAGED\"}", 1.0),
        ("lockstep_devices_unsynchronized{state=\"UNMANAGED\"}", 1.0),
        ("lockstep_dead_letters", 0.0),
        ("lockstep_due_work", 0.0),
        ("lockstep_lane_messages{lane=\"events\"}", 0.0),
        ("lockstep_lane_consumers{lane=\"events\"}", 1.0),
        ("lockstep_lane_consumers{lane=\"dead\"}", 1.0),
        (
            "lockstep_deliveries_total{lane=\"events\",outcome=\"applied\"}",
            1.0,
        ),
        (
            "lockstep_http_requests_total{server=\"console\",route=\"/v1/events\",status=\"202\"}",
            1.0,
        ),
        ("lockstep_broker_connected", 1.0),
        ("lockstep_store_up", 1.0),
    ];
    wait::until("the metrics of the fleet", PATIENCE, async || {
        let shown = Shown::of(&console).await.map_err(|error| format!("{error:#}"))?;
        shown.expect(&expected).map_err(|error| error.to_string())?;
        let oldest = shown.value("lockstep_oldest_unsynchronized_seconds");
        if oldest.is_some_and(|seconds| seconds > 0.0 && seconds < 300.0) {
            Ok(())
        } else {
            Err(format!("the oldest is {oldest:?}"))
        }
    })
    .await?;
    Shown::of(&gateway)
        .await?
        .expect(&expected[expected.len() - 2..])?;
    process.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_shows_what_waits_while_no_worker_runs() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    LOAD.publish(&*bus).await?;
    let console = format!("127.0.0.1:{}", free_port()?);
    let process = scene.run(&["console", "--listen", &console], &[])?;
    let waiting = [
        ("lockstep_lane_messages{lane=\"events\"}", 101.0),
        ("lockstep_lane_consumers{lane=\"events\"}", 0.0),
        ("lockstep_lane_messages{lane=\"commands\"}", 0.0),
    ];
    wait::until("the metrics of the lanes", PATIENCE, async || {
        let shown = Shown::of(&console).await.map_err(|error| format!("{error:#}"))?;
        shown.expect(&waiting).map_err(|error| error.to_string())
    })
    .await?;
    bus.close().await;
    process.stop().await
}
