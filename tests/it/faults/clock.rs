//! Workers with wrong wall clocks: no message is dead-lettered or applied twice, and states keep their order. What
//! wrong clocks do to leases is in `repositories/clocks.rs`.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use jiff::{Timestamp, ToSpan};
use lockstep_bus::Bus;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::events::DeviceStateChanged;
use lockstep_protocol::{DeviceState, Envelope, Hostname};
use lockstep_testbed::Schema;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::system::clock::{Settable, wrong_by};
use crate::system::load::{envelope, flags, hostname, outgoing};
use crate::system::{Expected, Ground, Load, Process, Scene, Sent};

const FLEET: Load = Load {
    devices: 10,
    events: 0,
};

/// Counts inbox rows whose time is more than half an hour ahead, and more than half an hour behind.
async fn wrong_rows(schema: &Schema) -> Result<(i64, i64)> {
    let count = "SELECT count(*) FILTER (WHERE at > now() + interval '30 min'), \
                 count(*) FILTER (WHERE at < now() - interval '30 min') FROM inbox";
    let row = schema.connect().await?.query_one(count, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// Publishes more events about the fleet and waits until they are processed.
async fn more(scene: &Scene, sent: &mut Sent, bus: &dyn Bus) -> Result<()> {
    let updates = Load { events: 200, ..FLEET }.updates();
    bus.publish(updates.iter().map(outgoing).collect()).await?;
    let expected = updates
        .iter()
        .map(|envelope| (envelope.identity.clone(), flags(envelope)));
    sent.extend(expected);
    scene.oracle().processed(sent).await
}

/// Whether a worker processed messages while its clock was ahead, right, behind; taken from the times in its log.
fn processed_with_clock(worker: &Process) -> Result<(bool, bool, bool)> {
    let now = SystemClock.now();
    let (ahead, behind) = (now.checked_add(30.minutes())?, now.checked_sub(30.minutes())?);
    let log = worker.log()?;
    let lines = log.lines().filter(|line| line.contains("message applied"));
    let times: Vec<Timestamp> = lines
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    let any = |wrong: &dyn Fn(&Timestamp) -> bool| times.iter().any(wrong);
    Ok((
        any(&|time| *time > ahead),
        any(&|time| *time <= ahead && *time >= behind),
        any(&|time| *time < behind),
    ))
}

/// Makes workers log each processed message.
const VERBOSE: (&str, &str) = ("LOCKSTEP__LOG__FILTER", "info,lockstep_worker=debug");

/// Starts workers whose clocks are an hour behind, right, and an hour ahead. Their prefetch is small, so that all of
/// them get messages.
async fn workers(scene: &Scene) -> Result<Vec<Process>> {
    let few = ("LOCKSTEP__WORKER__PREFETCH", "5");
    let clocks = [wrong_by("-3600"), wrong_by("+0"), wrong_by("+3600")];
    let workers: Result<Vec<Process>> = clocks
        .into_iter()
        .map(|clock| scene.worker(&[&clock[..], &[few, VERBOSE]].concat()))
        .collect();
    let workers = workers?;
    for worker in &workers {
        worker.prints("worker started").await?;
    }
    Ok(workers)
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_an_hour_apart() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let workers = workers(&scene).await?;
    let mut sent = FLEET.publish(&*bus).await?;
    scene.oracle().processed(&sent).await?;
    let each_its_own = |workers: &[Process]| -> Result<bool> {
        let processed: Vec<_> = workers.iter().map(processed_with_clock).collect::<Result<_>>()?;
        Ok(processed == [(false, false, true), (false, true, false), (true, false, false)])
    };
    let mut rounds = 0;
    while !each_its_own(&workers)? {
        rounds += 1;
        ensure!(
            rounds < 20,
            "not every worker processed a message with its own clock"
        );
        more(&scene, &mut sent, &*bus).await?;
    }
    for worker in workers {
        worker.stop().await?;
    }
    ensure!(
        wrong_rows(&scene.servers()?.schema).await? == (0, 0),
        "times come from the store's clock"
    );
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_jumps_an_hour_ahead_and_two_back() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let schema = &scene.servers()?.schema;
    let bus = scene.bus().await?;
    let clock = Settable::new(scene.folder())?;
    let worker = scene.worker(&[&clock.environment()[..], &[VERBOSE]].concat())?;
    let mut sent = FLEET.publish(&*bus).await?;
    more(&scene, &mut sent, &*bus).await?;
    ensure!(
        processed_with_clock(&worker)? == (false, true, false),
        "the clock was wrong at the start"
    );
    for (seconds, jumped) in [("+3600", (true, true, false)), ("-3600", (true, true, true))] {
        clock.set_wrong_by(seconds)?;
        let mut rounds = 0;
        while processed_with_clock(&worker)? != jumped {
            rounds += 1;
            ensure!(rounds < 200, "the clock does not jump to {seconds}");
            more(&scene, &mut sent, &*bus).await?;
        }
    }
    ensure!(
        wrong_rows(schema).await? == (0, 0),
        "times come from the store's clock"
    );
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

/// The message with the latest time decides the state of a device, in whatever order messages arrive and whichever worker
/// processes them.
#[tokio::test(flavor = "multi_thread")]
async fn states_keep_their_order_with_clocks_apart() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let workers = workers(&scene).await?;
    let mut sent = FLEET.publish(&*bus).await?;
    scene.oracle().processed(&sent).await?;

    let mut messages = Vec::new();
    let mut latest: BTreeMap<Hostname, DeviceState> = BTreeMap::new();
    for number in 0..FLEET.devices {
        for minute in 0..20 + number {
            let state = match minute % 3 {
                0 => DeviceState::Managed,
                1 => DeviceState::Unmanaged,
                _ => DeviceState::Init,
            };
            messages.push(state_at(&hostname(number), state, minute)?);
            latest.insert(hostname(number), state);
        }
    }
    messages.shuffle(&mut StdRng::seed_from_u64(7));
    for message in &messages {
        sent.insert(message.identity.clone(), Expected::Applied { flags: None });
        bus.publish(vec![outgoing(message)]).await?;
    }
    scene.oracle().processed(&sent).await?;
    for worker in workers {
        worker.stop().await?;
    }
    let client = scene.servers()?.schema.connect().await?;
    for row in client.query("SELECT hostname, state FROM device", &[]).await? {
        let (name, state): (String, String) = (row.get(0), row.get(1));
        let expected = latest.get(&name.parse()?).map(ToString::to_string);
        ensure!(
            Some(&state) == expected.as_ref(),
            "{name} is {state}, not {expected:?}"
        );
    }
    Ok(())
}

/// Of messages without a time, the one processed last decides, however wrong the clocks of the workers are.
#[tokio::test(flavor = "multi_thread")]
async fn messages_without_time_apply_in_processing_order_with_clocks_apart() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let mut sent = FLEET.publish(&*bus).await?;
    let states = [
        ("+3600", DeviceState::Unmanaged),
        ("+0", DeviceState::Managed),
        ("-3600", DeviceState::Init),
    ];
    for (seconds, state) in states {
        let worker = scene.worker(&wrong_by(seconds))?;
        let mut message = envelope(DeviceStateChanged {
            hostname: hostname(0),
            state,
        });
        message.time = None;
        bus.publish(vec![outgoing(&message)]).await?;
        sent.insert(message.identity.clone(), Expected::Applied { flags: None });
        scene.oracle().processed(&sent).await?;
        worker.stop().await?;
        let client = scene.servers()?.schema.connect().await?;
        let row = client
            .query_one("SELECT state FROM device WHERE hostname = 'sw0'", &[])
            .await?;
        let found: String = row.get(0);
        ensure!(found == state.to_string(), "the state is {found}, not {state}");
    }
    Ok(())
}

fn state_at(hostname: &Hostname, state: DeviceState, minute: usize) -> Result<Envelope> {
    let mut message = envelope(DeviceStateChanged {
        hostname: hostname.clone(),
        state,
    });
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    message.time = Some(begin.checked_add(i64::try_from(minute)?.minutes())?);
    Ok(message.with_subject(hostname.to_string()))
}
