//! Dead letters on their way back into their lanes, under a new epoch.

use std::time::Duration;

use lockstep_bus::{Outgoing, Properties};
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::topology::{Destination, RetryDelay};
use lockstep_protocol::{Identity, WorkResult};

use super::backoff::Backoff;
use super::lane::{Abandoned, LaneContext, chain};
use super::{Settlement, headers};
use crate::fail_point::{self, FailPoint};
use lockstep_store::DeadLetter;

/// How many are published at a time: each may be 4 MiB.
const PAGE: u32 = 64;

/// The copy of a dead letter that is worked again: the same message, under the next epoch, with its attempts before it.
///
/// It takes the shortest rung of the ladder instead of the straight way: a full lane then holds back the broker's own
/// transfer, and never a worker.
///
/// `None` where only a newer worker knows its lane: that one publishes it.
pub(crate) fn copy(dead_letter: &DeadLetter) -> Option<Outgoing> {
    let head = &dead_letter.head;
    let lane = head.known_lane()?;
    let mut ours = vec![
        (headers::ATTEMPT.to_owned(), "1".to_owned()),
        (headers::FIRST_AT.to_owned(), head.first_at.to_string()),
        (
            headers::REDRIVE_COUNT.to_owned(),
            (head.redrive_count + 1).to_string(),
        ),
        (headers::LETTER.to_owned(), head.number.to_string()),
    ];
    ours.extend(head.actor.clone().map(|actor| (headers::ACTOR.to_owned(), actor)));
    let kept = dead_letter.properties.clone();
    Some(Outgoing {
        destination: Destination::Delay(RetryDelay::Seconds5, lane),
        properties: Properties {
            message_id: kept.message_id,
            kind: kept.kind,
            content_type: kept.content_type,
            correlation_id: kept.correlation_id,
            reply_to: kept.reply_to,
            timestamp: kept.timestamp,
            user_id: None,
            headers: ours.into_iter().collect(),
        },
        body: dead_letter.body.clone(),
    })
}

/// The command behind a settlement, if it requeued dead letters: they are still to be published.
pub(super) fn request(settlement: &Settlement) -> Option<&Identity> {
    let Settlement::Applied(row) = settlement else {
        return None;
    };
    match &row.result {
        WorkResult::DeadLettersSettled(settled)
            if settled.action == DeadLetterAction::Requeued && settled.settled > 0 =>
        {
            Some(&row.identity)
        }
        _ => None,
    }
}

impl LaneContext {
    /// Publishes what a command requeued and nobody worked since. First and repeated publishing read the same rows, and
    /// never choose anew.
    pub(super) async fn publish_requeued(&self, request: &Identity) -> Result<(), Abandoned> {
        let mut away = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let mut after = 0;
        loop {
            let read = self.dead_letters.requeued_by(request, after, PAGE);
            let read = tokio::select! {
                biased;
                () = self.abandon.cancelled() => return Err(Abandoned),
                read = read => read,
            };
            let dead_letters = match read {
                Ok(dead_letters) => dead_letters,
                Err(error) => {
                    tracing::warn!(lane = %self.lane, error = chain(&error), "store away; requeued letters wait");
                    self.wait(&mut away).await?;
                    continue;
                }
            };
            let Some(last) = dead_letters.last() else {
                return Ok(());
            };
            after = last.head.number;
            self.confirm(dead_letters.iter().filter_map(copy).collect())
                .await?;
            fail_point::pass(FailPoint::AmidFanOut);
        }
    }
}
