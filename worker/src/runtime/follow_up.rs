//! Publishes follow-ups: the messages that a committed message caused.
//!
//! A follow-up is rendered from its row whenever it is published, so that every publication is the same message. Rows are read
//! in pages, since each may have 4 MiB.

use std::time::Duration;

use lockstep_bus::{Outgoing, Properties};
use lockstep_protocol::topology::{Destination, Lane, ReplyQueue, RetryDelay};
use lockstep_protocol::{Kind, MessageKey};
use lockstep_store::{FollowUp, FollowUpKey};

use super::backoff::Backoff;
use super::error_chain::chain;
use super::headers;
use super::lane::{Abandoned, LaneContext};
use crate::fail_point::{self, FailPoint};

/// How many follow-ups are published at a time.
pub(crate) const PAGE: u32 = 64;

/// How long a published follow-up may stay unprocessed before it is published again. Its queue keeps it for longer; a queue
/// that was deleted makes its follow-ups due at once.
pub const REPUBLISH_AFTER: Duration = Duration::from_mins(15);

/// The message of a follow-up. `None` if this version does not know its lane; a newer worker publishes it.
pub(crate) fn outgoing(follow_up: &FollowUp) -> Option<Outgoing> {
    let mut ours = vec![
        (headers::FIRST_AT.to_owned(), follow_up.first_at.to_string()),
        (headers::FOLLOW_UP.to_owned(), follow_up.key.to_string()),
    ];
    if follow_up.redrive_count > 0 {
        let count = follow_up.redrive_count.to_string();
        ours.push((headers::REDRIVE_COUNT.to_owned(), count));
    }
    ours.extend(
        follow_up
            .actor
            .clone()
            .map(|actor| (headers::ACTOR.to_owned(), actor)),
    );
    let kept = follow_up.properties.clone();
    let is_result = follow_up.lane.is_none();
    Some(Outgoing {
        destination: destination(follow_up)?,
        properties: Properties {
            message_id: kept.message_id.map(Into::into),
            kind: kept.kind.map(Into::into),
            content_type: kept.content_type.map(Into::into),
            correlation_id: kept.correlation_id.map(Into::into),
            reply_to: kept.reply_to.filter(|_| !is_result).map(Into::into),
            timestamp: kept.timestamp,
            user_id: None,
            headers: ours.into_iter().filter(|_| !is_result).collect(),
        },
        body: follow_up.body.clone(),
    })
}

fn destination(follow_up: &FollowUp) -> Option<Destination> {
    let Some(lane) = &follow_up.lane else {
        let reply = follow_up.properties.reply_to.clone();
        if let Some(queue) = reply.and_then(|queue| ReplyQueue::try_from(queue).ok()) {
            return Some(Destination::Reply(queue));
        }
        let kind: Kind = follow_up.properties.kind.as_deref()?.parse().ok()?;
        return Some(Destination::Results(kind));
    };
    let lane: Lane = lane.parse().ok()?;
    // The queue of an ingress lane has a maximum length and refuses what is beyond it. The shortest delay instead of the
    // direct way lets the broker's own transfer wait, and never a worker.
    Some(match (follow_up.key, lane) {
        (FollowUpKey::DeadLetter(_), _)
        | (_, Lane::Events | Lane::Repositories | Lane::Commands | Lane::Executions) => {
            Destination::Delay(RetryDelay::Seconds5, lane)
        }
        (FollowUpKey::Message(_), Lane::Devices | Lane::Cvp | Lane::Dead) => Destination::Lane(lane),
    })
}

impl LaneContext {
    /// Publishes what a message caused and the broker has not confirmed yet. The first delivery and every redelivery of the
    /// message read the same rows.
    pub(super) async fn publish_follow_ups(&self, cause: &MessageKey) -> Result<(), Abandoned> {
        // Each page begins behind the one before it. Otherwise it would pass over all that are published already.
        let mut after = None;
        loop {
            let page = self
                .ask_store(|| self.follow_ups.unpublished(cause, after, PAGE))
                .await?;
            let Some(last) = page.last().map(|follow_up| follow_up.key) else {
                return Ok(());
            };
            let page: Vec<(FollowUp, Outgoing)> = page
                .into_iter()
                .filter_map(|follow_up| outgoing(&follow_up).map(|outgoing| (follow_up, outgoing)))
                .collect();
            let messages = page.iter().map(|(_, outgoing)| outgoing.clone()).collect();
            if let Err(size) = self.confirm(messages).await? {
                self.end_too_large(page, size).await?;
                // The page once more, without those that ended.
                continue;
            }
            fail_point::pass(FailPoint::AmidFanOut);
            let rendered: Vec<FollowUp> = page.into_iter().map(|(follow_up, _)| follow_up).collect();
            self.ask_store(|| self.follow_ups.mark_published(&rendered, self.republish_after))
                .await?;
            after = Some(last);
        }
    }

    /// Asks the store for as long as it takes.
    pub(super) async fn ask_store<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Abandoned>
    where
        F: Future<Output = Result<T, lockstep_store::StoreError>>,
    {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let asking = async {
            loop {
                match ask().await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        tracing::warn!(lane = %self.lane, error = chain(&error), "the store is unavailable; the lane waits and tries again");
                        self.wait(&mut backoff).await?;
                    }
                }
            }
        };
        self.with_store(asking).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use lockstep_store::MessageProperties;

    use super::*;

    fn follow_up(key: FollowUpKey, lane: Option<&str>, reply_to: Option<&str>) -> FollowUp {
        FollowUp {
            key,
            lane: lane.map(str::to_owned),
            body: Bytes::new(),
            properties: MessageProperties {
                kind: Some("lockstep.event.applied".to_owned()),
                reply_to: reply_to.map(str::to_owned),
                ..MessageProperties::default()
            },
            actor: Some("anna".to_owned()),
            first_at: Timestamp::UNIX_EPOCH,
            redrive_count: 0,
            published: 0,
        }
    }

    #[test]
    fn work_goes_to_its_lane_and_results_go_to_the_requester() {
        let (message, dead_letter) = (FollowUpKey::Message(1), FollowUpKey::DeadLetter(1));
        let reply = ReplyQueue::of("netbox", "1").unwrap();
        let delayed = |lane| Some(Destination::Delay(RetryDelay::Seconds5, lane));
        let table = [
            (
                message,
                Some("devices"),
                None,
                Some(Destination::Lane(Lane::Devices)),
            ),
            (message, Some("repositories"), None, delayed(Lane::Repositories)),
            (dead_letter, Some("devices"), None, delayed(Lane::Devices)),
            (
                dead_letter,
                Some("events"),
                Some(reply.as_str()),
                delayed(Lane::Events),
            ),
            (message, Some("a-newer-lane"), None, None),
            (
                message,
                None,
                Some(reply.as_str()),
                Some(Destination::Reply(reply.clone())),
            ),
            (
                message,
                None,
                None,
                Some(Destination::Results(Kind::EventApplied)),
            ),
            (
                message,
                None,
                Some("not a queue"),
                Some(Destination::Results(Kind::EventApplied)),
            ),
        ];
        for (key, lane, reply_to, expected) in table {
            let outgoing = outgoing(&follow_up(key, lane, reply_to));
            let destination = outgoing.as_ref().map(|outgoing| outgoing.destination.clone());
            assert_eq!(destination, expected, "{key} {lane:?} {reply_to:?}");
            if let Some(outgoing) = outgoing {
                assert_eq!(outgoing.properties.headers.is_empty(), lane.is_none());
            }
        }
    }
}
