//! Publishes the messages of an import and waits for their outcomes.

use std::time::Duration;

use anyhow::{Context, anyhow};
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::events::InventoryImported;
use lockstep_protocol::rest::MessageView;
use lockstep_protocol::results::MessageRejected;
use lockstep_protocol::{Digest, Envelope, Identity, InboxState, counted};

use super::summary::Summary;
use crate::cli::client::Client;
use crate::cli::{outcome, output, request};

/// How long the outcome of one message may take.
const WAIT: Duration = Duration::from_mins(2);

/// A published message that has no outcome yet.
struct Sent {
    identity: Identity,
    digest: Digest,
    chunk: InventoryImported,
}

/// Imports controllers before their devices, and links and management domains last.
pub(super) async fn import(client: &Client, chunks: Vec<InventoryImported>) -> anyhow::Result<Summary> {
    let (of_devices, third): (Vec<_>, Vec<_>) = chunks
        .into_iter()
        .partition(|chunk: &InventoryImported| !chunk.devices.is_empty());
    let names_none =
        |chunk: &InventoryImported| chunk.devices.iter().all(|device| device.controller.is_none());
    let (first, second): (Vec<_>, Vec<_>) = of_devices.into_iter().partition(names_none);
    let mut summary = Summary::default();
    for chunks in [first, second, third] {
        import_together(client, chunks, &mut summary).await?;
    }
    Ok(summary)
}

/// Publishes all messages, then waits for all outcomes, so that several workers share them.
async fn import_together(
    client: &Client,
    chunks: Vec<InventoryImported>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let progress = output::Progress::new();
    let total = chunks.len();
    let mut sent = Vec::with_capacity(total);
    for chunk in chunks {
        progress.show(&format!("publishing message {} of {total}", sent.len() + 1));
        let envelope = Envelope::new(request::source(), SystemClock.now(), chunk.clone());
        let published = client.publish(envelope.encode()).await;
        published.with_context(|| {
            format!(
                "published only {} of {}; it is safe to import the file again",
                sent.len(),
                counted(total, "message")
            )
        })?;
        sent.push(Sent {
            digest: envelope.digest(),
            identity: envelope.identity,
            chunk,
        });
    }
    for (index, sent) in sent.iter().enumerate() {
        progress.show(&format!(
            "waiting for the outcome of message {} of {total}",
            index + 1
        ));
        let view = client.outcome(&sent.identity, sent.digest, WAIT).await?.ok_or_else(|| {
            anyhow!("there is no outcome after {} s; check that a worker is running. The broker has all messages, and it is safe to import the file again", WAIT.as_secs())
        })?;
        summary.messages += 1;
        match view.state {
            InboxState::Applied => {
                let before = summary.rejected_devices.len();
                summary.add(&sent.chunk, serde_json::from_value(view.result).ok());
                let rejected = &summary.rejected_devices[before..];
                if !rejected.is_empty() {
                    progress.show("");
                }
                for device in rejected {
                    output::error(&format!(
                        "{}: {}: {}",
                        device.hostname, device.code, device.reason
                    ));
                }
            }
            InboxState::Dead | InboxState::Refused => {
                summary.rejected += sent.chunk.devices.len();
                summary.left_out += sent.chunk.links.len() + sent.chunk.management_domains.len();
                progress.show("");
                output::error(&format!("{}: {}", range(&sent.chunk), rejection(&view)));
            }
        }
    }
    Ok(())
}

/// Why no device of a message was imported. The place in the message says nothing about the file.
fn rejection(view: &MessageView) -> String {
    match serde_json::from_value::<MessageRejected>(view.result.clone()) {
        Ok(rejected) => format!("{}: {}", rejected.code, rejected.reason),
        Err(_) => outcome::rejection(view),
    }
}

fn range(chunk: &InventoryImported) -> String {
    match chunk.devices.as_slice() {
        [] => format!(
            "{} and {}",
            counted(chunk.links.len(), "link"),
            counted(chunk.management_domains.len(), "management domain")
        ),
        [only] => only.hostname.to_string(),
        [first, .., last] => format!(
            "{} … {} ({} devices)",
            first.hostname,
            last.hostname,
            chunk.devices.len()
        ),
    }
}
