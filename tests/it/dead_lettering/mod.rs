//! Messages that cannot be processed: poison messages that kill their worker, requeued dead letters, messages dead-lettered
//! by the broker, and messages without a binding.

mod fan_out;
mod lost;
mod oversize;
mod poison;
mod requeued;
mod waiting;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_protocol::commands::{DeadLetterRequeueRequested, DeadLetterSelection};
use lockstep_protocol::{Envelope, Identity};
use lockstep_testbed::wait;

use crate::system::load::{envelope, outgoing};
use crate::system::{Oracle, PATIENCE, Scene};

/// A command that requeues one dead letter.
fn requeue(number: i64) -> Result<Envelope> {
    Ok(envelope(DeadLetterRequeueRequested {
        dead_letter: Some(number.try_into()?),
        matching: None,
    }))
}

/// A command that requeues all current dead letters.
fn requeue_all() -> Envelope {
    let everything = DeadLetterSelection {
        up_to: u64::MAX,
        code: None,
        lane: None,
        message_type: None,
    };
    envelope(DeadLetterRequeueRequested {
        dead_letter: None,
        matching: Some(everything),
    })
}

/// Publishes one message.
async fn publish(bus: &dyn Bus, message: &Envelope) -> Result<()> {
    Ok(bus.publish(vec![outgoing(message)]).await?)
}

/// Publishes one message by a temporary bus. No process may run at the same time if the scene is embedded.
async fn publish_in(scene: &Scene, message: &Envelope) -> Result<()> {
    let bus = scene.bus().await?;
    publish(&*bus, message).await?;
    bus.close().await;
    Ok(())
}

/// The number of the dead letter of a message with this redrive count.
async fn dead_letter(oracle: &Oracle, identity: &Identity, redrive_count: i32) -> Result<i64> {
    let dead_letters = oracle.records.dead_letters().await?;
    let dead_letter = dead_letters.get(&(identity.clone(), redrive_count));
    Ok(dead_letter
        .with_context(|| format!("{identity} has no dead letter with redrive count {redrive_count}"))?
        .number)
}

/// Waits until a message is processed with at least this redrive count, and returns its state.
async fn ended(oracle: &Oracle, identity: &Identity, redrive_count: i32) -> Result<String> {
    Ok(wait::until("the outcome of a message", PATIENCE, async || {
        let inbox = oracle
            .records
            .inbox()
            .await
            .map_err(|error| format!("{error:#}"))?;
        match inbox.get(identity) {
            Some(row) if row.redrive_count >= redrive_count => Ok(row.state.clone()),
            row => Err(format!("{row:?}")),
        }
    })
    .await?)
}

/// How many dead letters a command settled and left unchanged, from its result in the inbox.
async fn settled(oracle: &Oracle, identity: &Identity) -> Result<(u64, u64)> {
    ensure!(ended(oracle, identity, 0).await? == "applied");
    let inbox = oracle.records.inbox().await?;
    let result = &inbox.get(identity).context("the row")?.result;
    let count = |name: &str| result[name].as_u64().with_context(|| format!("{result}"));
    Ok((count("settled")?, count("unchanged")?))
}
