//! Rules that need the store and whole batches: a storm of events for one device, and devices that only links name.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use lockstep_protocol::events::{DeviceRemoved, LinknetAction, LinknetChanged, LinknetEnd};
use lockstep_protocol::{Envelope, Message, WorkResult};

use crate::scene::{Ground, Scene, envelope, hostname, on_both, update};

const STORM: usize = 10_000;
/// The most causes that are listed of a device.
const LISTED: usize = 32;

fn result(body: &[u8]) -> Result<(u64, Vec<String>)> {
    match Envelope::decode(body)?.envelope.message {
        Message::Result(WorkResult::EventApplied(applied)) => {
            let devices = applied.devices.iter().map(ToString::to_string);
            Ok((applied.flipped, devices.collect()))
        }
        other => anyhow::bail!("{other:?}"),
    }
}

/// One flip, every cause counted, the newest listed, every message answered.
async fn a_storm_of_events_for_one_device_is_one_flip(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let other = update(1);
    let messages: Vec<Envelope> = (0..STORM).map(|_| update(0)).collect();
    for chunk in messages.chunks(1000) {
        scene.publish(chunk).await?;
    }
    scene.publish([&other]).await?;
    let worker = scene.worker(500);
    let results: BTreeMap<String, Vec<Vec<u8>>> = scene.results(STORM + 1).await?;
    worker.stop().await?;
    ensure!(results.len() == STORM + 1, "{} are answered", results.len());
    let mut flipped = 0;
    for message in &messages {
        let answers = results.get(message.identity.id.as_str()).context("no result")?;
        ensure!(answers.len() == 1, "{} answers", answers.len());
        flipped += result(&answers[0])?.0;
    }
    ensure!(flipped == 1, "{flipped} flips");
    let device = scene.device(0).await?;
    ensure!(!device.sync.synchronized());
    ensure!(
        device.sync.desired - device.sync.synced == i64::try_from(STORM)?,
        "{:?}",
        device.sync
    );
    ensure!(device.open_causes.len() == LISTED, "{}", device.open_causes.len());
    ensure!(
        scene.device(1).await?.sync.desired == 2,
        "others wait and are not lost"
    );
    Ok(())
}

fn end(number: usize) -> Result<LinknetEnd> {
    Ok(LinknetEnd {
        hostname: hostname(number),
        interface: "Ethernet1".to_owned().try_into()?,
        address: None,
    })
}

/// A message of this second, after the import of the fleet.
fn at(message: impl Into<Message>, second: i64) -> Envelope {
    let mut envelope = envelope(message);
    envelope.time = Some(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second));
    envelope
}

fn added(one: usize, other: usize, second: i64) -> Result<Envelope> {
    let event = LinknetChanged {
        action: LinknetAction::Added,
        a: end(one)?,
        b: end(other)?,
        previous: None,
    };
    Ok(at(event, second))
}

/// Each in a batch of its own: the event names neither the replaced end nor the neighbours, only the store knows them.
async fn devices_behind_links_are_read_and_flagged(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let worker = scene.worker(100);
    let removed = DeviceRemoved {
        hostname: hostname(0),
    };
    let messages = [added(0, 1, 10)?, added(0, 2, 20)?, at(removed, 30)];
    let mut told = Vec::new();
    for message in &messages {
        scene.publish([message]).await?;
        let results = scene.results(1).await?;
        let answers = results.into_values().next().context("no result")?;
        told.push(result(&answers[0])?);
    }
    worker.stop().await?;
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    ensure!(
        told == [
            (2, names(&["sw0", "sw1"])),
            (1, names(&["sw0", "sw1", "sw2"])),
            (0, names(&["sw0", "sw2"])),
        ],
        "{told:?}"
    );
    let generation = async |number| Ok::<_, anyhow::Error>(scene.device(number).await?.sync.desired);
    ensure!((generation(1).await?, generation(2).await?) == (3, 3));
    ensure!(generation(3).await? == 1, "sw3 has no link");
    Ok(())
}

on_both! {
    a_storm_of_events_for_one_device_is_one_flip
    devices_behind_links_are_read_and_flagged
}
