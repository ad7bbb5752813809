use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::{Bus, Outgoing, Properties};
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::topology::{Destination, Lane};
use lockstep_protocol::{
    Command, CommitId, Envelope, Identity, Kind, Message, MessageId, Source as MessageSource,
};
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::Source;
use crate::clock::Clock;
use crate::runtime::chain;
use crate::store::{Leases, Repositories, RepositoryRow};

/// What watching needs.
#[derive(Clone, Debug)]
pub struct WatchContext {
    /// Where a look is asked for.
    pub bus: Arc<dyn Bus>,
    /// What was seen last.
    pub repositories: Arc<dyn Repositories>,
    /// One worker watches at a time.
    pub leases: Arc<dyn Leases>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Looks at remotes now and then until `stop`, and asks for a refresh where one is not where it was seen last. A repository
/// that nobody ever asked for is left alone: the first look flags everybody, or is spared by accepting a commit.
pub async fn watch(context: WatchContext, sources: Vec<Source>, every: Duration, stop: CancellationToken) {
    loop {
        // In no step with other workers.
        let pause = every.mul_f64(rand::rng().random_range(0.9..1.1));
        if stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
        for source in &sources {
            let looked = stop.run_until_cancelled(look(&context, source, every)).await;
            match looked {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(repository = %source.kind, error = chain(&*error), "cannot watch the repository");
                }
            }
        }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn look(context: &WatchContext, source: &Source, every: Duration) -> Result<(), Error> {
    let name = source.name();
    let Some(row) = context.repositories.repository(&name).await? else {
        tracing::debug!(repository = %name, "nobody asked for it yet");
        return Ok(());
    };
    // Kept until it runs out: whoever has it has looked for all.
    let turn = format!("watch/{name}");
    if context.leases.acquire(&turn, every.mul_f64(0.8)).await?.is_none() {
        return Ok(());
    }
    let tip = source.mirror.remote_tip().await?;
    if tip == row.seen && row.branch == source.mirror.remote().branch() {
        return Ok(());
    }
    tracing::info!(repository = %name, %tip, seen = %row.seen, "the remote moved and no webhook said so");
    let message = refresh(&row, &tip, context.clock.now());
    context.bus.publish(vec![message]).await?;
    Ok(())
}

/// The request to look at this tip. Its identity depends on what was seen before, so that several workers ask once, and once
/// more when a tip comes back.
fn refresh(row: &RepositoryRow, tip: &CommitId, now: jiff::Timestamp) -> Outgoing {
    let seen = format!("repository/{}/{}/{tip}", row.name, row.round);
    let seen = Identity {
        source: MessageSource::worker(),
        id: MessageId::try_from(seen).expect("names of configured repositories are short"),
    };
    let kind = Kind::RepositoryRefreshRequested;
    let command = RepositoryRefreshRequested {
        repository: row.name.clone(),
    };
    let envelope = Envelope {
        identity: Identity {
            source: MessageSource::worker(),
            id: seen.derive(kind, 0),
        },
        subject: None,
        time: None,
        traceparent: None,
        causationid: None,
        actor: None,
        message: Message::Command(Command::RepositoryRefreshRequested(command)),
    };
    Outgoing {
        destination: Destination::Lane(Lane::Repositories),
        properties: Properties {
            message_id: Some(envelope.identity.id.to_string()),
            kind: Some(kind.as_str().to_owned()),
            content_type: Some(CONTENT_TYPE.to_owned()),
            timestamp: Some(now),
            ..Properties::default()
        },
        body: envelope.encode().into(),
    }
}
