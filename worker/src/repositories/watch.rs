use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_bus::{Bus, Outgoing, Properties};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::internal::RepositoryTipMoved;
use lockstep_protocol::topology::{Destination, Lane};
use lockstep_protocol::{CommitId, Envelope, Identity, Kind, MessageId, Source as MessageSource};
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::{Source, failure};
use crate::reconcile;
use crate::runtime::chain;
use lockstep_store::{Leases, Repositories, RepositoryRow, Schema};

/// How long after a message about a tip another one may be published for the same tip: longer than all retry delays
/// together.
const REPEAT_SECONDS: i64 = 15 * 60;

/// The label of repairs in metrics.
const REPAIR: &str = "repository";

/// What [`watch`] needs.
#[derive(Clone, Debug)]
pub struct WatchContext {
    /// Publishes the messages about moved tips.
    pub bus: Arc<dyn Bus>,
    /// Reads the tip of the last refresh.
    pub repositories: Arc<dyn Repositories>,
    /// Of all workers, only the holder of a repository's lease polls its remote.
    pub leases: Arc<dyn Leases>,
    /// Gives the time: workers with different clocks publish the same message.
    pub schema: Arc<dyn Schema>,
}

/// Polls remotes until `stop`, about once in each `every`. Where the tip is not the one seen last, it publishes
/// [`RepositoryTipMoved`], because the webhook may have been lost. A repository that was never refreshed is not polled:
/// its first refresh flags every device, unless an operator accepts a commit before, so an operator has to start it.
pub async fn watch(context: WatchContext, sources: Vec<Source>, every: Duration, stop: CancellationToken) {
    lockstep_telemetry::work::begin_repairs([REPAIR]);
    let mut published: Vec<Option<Identity>> = vec![None; sources.len()];
    loop {
        // Random, so that workers do not poll at the same time.
        let pause = every.mul_f64(rand::rng().random_range(0.9..1.1));
        if stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
        for (source, published) in sources.iter().zip(&mut published) {
            let polled = stop
                .run_until_cancelled(poll(&context, source, every, published))
                .await;
            match polled {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(repository = %source.kind, error = chain(&*error), "cannot poll the repository");
                }
            }
        }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn poll(
    context: &WatchContext,
    source: &Source,
    every: Duration,
    published: &mut Option<Identity>,
) -> Result<(), Error> {
    let name = source.name();
    let Some(row) = context.repositories.repository(&name).await? else {
        tracing::debug!(repository = %name, "not polled because it was never refreshed");
        return Ok(());
    };
    // Never released: until the lease expires, its holder has polled for all workers.
    let lease = format!("watch/{name}");
    if context
        .leases
        .acquire(&lease, every.mul_f64(0.8))
        .await?
        .is_none()
    {
        return Ok(());
    }
    let tip = match source.mirror.remote_tip().await {
        Ok(tip) => tip,
        Err(error) => {
            failure::record(&*context.repositories, &name, &error).await;
            return Err(error.into());
        }
    };
    if tip == row.seen && row.branch == source.mirror.remote().branch() {
        failure::clear(&*context.repositories, &name).await;
        return Ok(());
    }
    let now = context.schema.now().await?;
    let identity = identity(&row, &tip, now);
    // The message was published before, and may be waiting for a retry.
    if published.as_ref() == Some(&identity) {
        return Ok(());
    }
    tracing::info!(repository = %name, %tip, seen = %row.seen, "the tip of the repository moved and no webhook has reported it");
    context
        .bus
        .publish(vec![tip_moved(&row, tip, identity.clone(), now)])
        .await?;
    reconcile::repaired(REPAIR, 1);
    *published = Some(identity);
    Ok(())
}

/// The identity of the message about this tip. It depends on the revision of the repository's row, so that several workers
/// publish the same message, and another one when an earlier tip comes back. It also depends on the time, so that a tip is
/// not forgotten when its message is dead-lettered.
fn identity(row: &RepositoryRow, tip: &CommitId, now: Timestamp) -> Identity {
    let period = now.as_second().div_euclid(REPEAT_SECONDS);
    let seen = format!("repository/{}/{}/{tip}/{period}", row.name, row.revision);
    let seen = Identity {
        source: MessageSource::worker(),
        id: MessageId::try_from(seen).expect("names of configured repositories are short"),
    };
    Identity {
        id: seen.derive(Kind::RepositoryTipMoved, 0),
        ..seen
    }
}

fn tip_moved(row: &RepositoryRow, tip: CommitId, identity: Identity, now: Timestamp) -> Outgoing {
    let body = RepositoryTipMoved {
        repository: row.name.clone(),
        tip,
    };
    let envelope = Envelope {
        identity,
        subject: None,
        time: None,
        traceparent: None,
        causationid: None,
        actor: None,
        message: body.into(),
    };
    Outgoing {
        destination: Destination::Lane(Lane::Repositories),
        properties: Properties {
            message_id: Some(envelope.identity.id.clone().into()),
            kind: Some(Kind::RepositoryTipMoved.as_str().into()),
            content_type: Some(CONTENT_TYPE.into()),
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
    fn a_tip_is_reported_once_and_again_when_it_comes_back_or_after_a_while() {
        let commit = |digit: &str| -> CommitId { digit.repeat(40).parse().unwrap() };
        let at = |second| Timestamp::from_second(second).unwrap();
        let row = |revision| RepositoryRow {
            name: "settings".to_owned().try_into().unwrap(),
            branch: "main".to_owned(),
            revision,
            accepted: None,
            seen: commit("1"),
            seen_at: at(0),
            asked_at: None,
            problem: None,
            problem_since: None,
            warnings: Vec::new(),
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
        let message = tip_moved(&row(7), commit("2"), first.clone(), at(900));
        let again = tip_moved(&row(7), commit("2"), first, at(901));
        assert_eq!(
            message.body, again.body,
            "the body does not depend on the time of publishing"
        );
    }
}
