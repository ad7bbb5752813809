//! Memory and disk alarms of the broker: the worker keeps its messages, requests get an error, and work goes on afterwards.

use anyhow::{Result, ensure};
use lockstep_bus::Bus;
use lockstep_testbed::{Broker, free_port};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::system::http::Server;
use crate::system::load::{flags, hostname, outgoing, update};
use crate::system::{Load, Scene, Sent};

const FLEET: Load = Load {
    devices: 40,
    events: 0,
};

/// Commands that raise and clear an alarm.
const ALARMS: [[[&str; 2]; 2]; 2] = [
    [
        ["set_vm_memory_high_watermark", "0"],
        ["set_vm_memory_high_watermark", "0.4"],
    ],
    [["set_disk_free_limit", "9000GB"], ["set_disk_free_limit", "50MB"]],
];

#[tokio::test(flavor = "multi_thread")]
async fn private_memory_and_disk_alarms_begin_and_end() -> Result<()> {
    let broker = Broker::start().await?;
    let scene = Scene::on(broker.vhost().await?, lockstep_testbed::schema().await?).await?;
    let bus = scene.bus().await?;
    let console = Server(format!("127.0.0.1:{}", free_port()?));
    let serving = scene.run(
        &["console", "--listen", &console.0],
        &[
            ("LOCKSTEP__CONSOLE__TOKENS__0__NAME", "alice"),
            ("LOCKSTEP__CONSOLE__TOKENS__0__TOKEN", "a-token-of-alice"),
            ("LOCKSTEP__CONSOLE__TOKENS__0__TYPES", "*"),
        ],
    )?;
    console.ready().await?;
    let worker = scene.worker(&[])?;
    let mut sent = FLEET.publish(&*bus).await?;
    scene.oracle().processed(&sent).await?;

    for [begin, end] in ALARMS {
        let before = sent.len();
        // Published before the alarm begins, because publishing is impossible after that.
        worker.signal(Signal::STOP)?;
        more(&mut sent, &*bus).await?;
        broker.ctl(&begin).await?;
        worker.signal(Signal::CONT)?;
        scene.oracle().processed_at_least(before + 1).await?;
        // The broker reports the alarm only to connections that publish; it neither accepts nor confirms the message.
        let event = update(&hostname(0));
        let asking = tokio::spawn(post(console.clone(), String::from_utf8(event.encode())?));
        let readiness = console.answers_readiness(503).await?;
        ensure!(readiness["away"] == json!(["broker"]), "{readiness}");
        // Each committed batch waits for the confirms of its results.
        let done = scene.oracle().records.processed().await?;
        ensure!(
            usize::try_from(done)? < sent.len(),
            "the worker did not wait: {done} of {} messages are processed",
            sent.len()
        );
        broker.ctl(&end).await?;
        console.ready().await?;
        // The request made meanwhile was accepted, or was refused and is repeated as the same message.
        let (status, said) = asking.await??;
        ensure!(matches!(status, 202 | 503), "{status} {said}");
        let (status, said) = post(console.clone(), String::from_utf8(event.encode())?).await?;
        ensure!(status == 202, "{status} {said}");
        sent.insert(event.identity.clone(), flags(&event));
        scene.oracle().processed(&sent).await?;
    }
    serving.stop().await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

async fn post(console: Server, body: String) -> Result<(u16, Value)> {
    let headers = "authorization: Bearer a-token-of-alice\r\ncontent-type: application/cloudevents+json\r\n";
    console.ask("POST", "/v1/events", headers, &body).await
}

/// Publishes a load of ten batches.
async fn more(sent: &mut Sent, bus: &dyn Bus) -> Result<()> {
    let updates = Load {
        events: 1000,
        ..FLEET
    }
    .updates();
    bus.publish(updates.iter().map(outgoing).collect()).await?;
    let expected = updates
        .iter()
        .map(|envelope| (envelope.identity.clone(), flags(envelope)));
    sent.extend(expected);
    Ok(())
}
