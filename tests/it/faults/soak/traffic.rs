//! Publishes events at a steady rate and reads their results.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions};
use lockstep_protocol::topology::Queue;
use lockstep_protocol::{Envelope, Identity};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::system::load::{flags, hostname, outgoing, update};
use crate::system::{Load, Sent, cause};

pub(super) const FLEET: Load = Load {
    devices: 100,
    events: 0,
};
/// 200 events per second, as long as the broker accepts them.
const TICK: Duration = Duration::from_millis(50);
const EVENTS: usize = 10;

/// Publishes events about the fleet until it is stopped and the last publish is confirmed.
pub(super) async fn publish(bus: Arc<dyn Bus>, mut sent: Sent, end: CancellationToken) -> Result<Sent> {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    while !end.is_cancelled() {
        ticks.tick().await;
        let updates: Vec<Envelope> = (number..number + EVENTS)
            .map(|number| update(&hostname(number % FLEET.devices)))
            .collect();
        number += EVENTS;
        bus.publish(updates.iter().map(outgoing).collect()).await?;
        let expected = updates
            .iter()
            .map(|envelope| (envelope.identity.clone(), flags(envelope)));
        sent.extend(expected);
    }
    Ok(sent)
}

/// Reads results until it is stopped, because the queue cannot hold all results of a long soak. Returns their messages.
pub(super) async fn read_results(bus: Arc<dyn Bus>, end: CancellationToken) -> Result<BTreeSet<Identity>> {
    let options = ConsumeOptions {
        prefetch: 500,
        acknowledge: Acknowledge::InOrder,
    };
    let mut consumer = bus.consume(Queue::Results, options).await?;
    let mut read = BTreeSet::new();
    while let Some(batch) = end.run_until_cancelled(consumer.take(500)).await {
        let batch = batch.context("the bus was closed")?;
        for delivery in &batch.deliveries {
            read.insert(cause(&Envelope::decode(&delivery.body)?.envelope)?);
        }
        batch.receipt.ack().await;
    }
    consumer.close().await;
    Ok(read)
}
