use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
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
use crate::reconcile;
use crate::runtime::chain;
use lockstep_clock::Clock;
use lockstep_store::{Leases, Repositories, RepositoryRow};

/// How long a request may take before there is another one for the same tip: longer than the retry ladder.
const ASK_AGAIN_SECONDS: i64 = 15 * 60;

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
    let mut asked: Vec<Option<Identity>> = vec![None; sources.len()];
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
        for (source, asked) in sources.iter().zip(&mut asked) {
            let looked = stop
                .run_until_cancelled(check_remote(&context, source, every, asked))
                .await;
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

async fn check_remote(
    context: &WatchContext,
    source: &Source,
    every: Duration,
    asked: &mut Option<Identity>,
) -> Result<(), Error> {
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
    let now = context.clock.now();
    let identity = identity(&row, &tip, now);
    // It was asked for, and perhaps climbs the ladder.
    if asked.as_ref() == Some(&identity) {
        return Ok(());
    }
    tracing::info!(repository = %name, %tip, seen = %row.seen, "the remote moved and no webhook said so");
    context
        .bus
        .publish(vec![refresh(&row, identity.clone(), now)])
        .await?;
    reconcile::repaired("repository", 1);
    *asked = Some(identity);
    Ok(())
}

/// Who the request to look at this tip is. It depends on what was seen before, so that several workers ask once, and once
/// more when a tip comes back; and on the time, so that a request that died is not the last one.
fn identity(row: &RepositoryRow, tip: &CommitId, now: Timestamp) -> Identity {
    let turn = now.as_second().div_euclid(ASK_AGAIN_SECONDS);
    let seen = format!("repository/{}/{}/{tip}/{turn}", row.name, row.revision);
    let seen = Identity {
        source: MessageSource::worker(),
        id: MessageId::try_from(seen).expect("names of configured repositories are short"),
    };
    Identity {
        id: seen.derive(Kind::RepositoryRefreshRequested, 0),
        ..seen
    }
}

/// The request.
fn refresh(row: &RepositoryRow, identity: Identity, now: Timestamp) -> Outgoing {
    let kind = Kind::RepositoryRefreshRequested;
    let command = RepositoryRefreshRequested {
        repository: row.name.clone(),
    };
    let envelope = Envelope {
        identity,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tip_is_asked_for_once_and_again_when_it_comes_back_or_nothing_came_of_it() {
        let commit = |digit: &str| -> CommitId { digit.repeat(40).parse().unwrap() };
        let at = |second| Timestamp::from_second(second).unwrap();
        let row = |revision| RepositoryRow {
            name: "settings".to_owned().try_into().unwrap(),
            branch: "main".to_owned(),
            revision,
            accepted: None,
            seen: commit("1"),
            seen_at: at(0),
            problem: None,
        };
        let first = identity(&row(7), &commit("2"), at(900));
        let table = [
            (7, "2", 901, true),
            (7, "2", 1799, true),
            (7, "2", 1800, false),
            (8, "2", 901, false),
            (7, "3", 901, false),
        ];
        for (revision, tip, second, same) in table {
            let other = identity(&row(revision), &commit(tip), at(second));
            assert_eq!(first == other, same, "{revision} {tip} {second}");
        }
        let message = refresh(&row(7), first.clone(), at(900));
        let again = refresh(&row(7), first, at(901));
        assert_eq!(
            message.body, again.body,
            "the same message, whenever it is published"
        );
    }
}
