//! Publishes a command and waits for its outcome.

use std::process::ExitCode;
use std::time::Duration;

use lockstep_protocol::rest::MessageView;
use lockstep_protocol::{Envelope, Source};

use super::await_outcome::await_outcome;
use super::client::Client;
use super::{Global, outcome};

const WAIT: Duration = Duration::from_secs(30);

/// The source of messages from the command line.
pub(super) fn source() -> Source {
    Source::try_from("urn:lockstep:cli".to_owned()).expect("a fixed URN is a source")
}

/// Publishes a command and prints its outcome.
pub(super) async fn request(global: &Global, envelope: &Envelope) -> anyhow::Result<ExitCode> {
    let view = ask(&Client::new(global)?, envelope).await?;
    Ok(outcome::show(&view, global.json))
}

/// Publishes a command and waits for its outcome.
///
/// # Errors
/// If the console rejects the command or cannot be reached, or if the outcome is not known in time.
pub(super) async fn ask(client: &Client, envelope: &Envelope) -> anyhow::Result<MessageView> {
    client.publish(envelope.encode()).await?;
    Ok(await_outcome(client, &envelope.identity, envelope.digest(), WAIT).await?)
}
