//! Processes a lane whose messages a claimant takes over: as many as it has free places for are claimed in one transaction, and
//! acknowledged when that is committed. All other messages of the lane are processed as in a batched lane.

use std::sync::Arc;

use lockstep_bus::{Batch, ConsumeOptions, Consumer};
use lockstep_protocol::Envelope;
use lockstep_protocol::topology::Queue;
use tokio_util::sync::CancellationToken;

use super::Settlement;
use super::batch::{BatchLane, with_follow_ups};
use super::claimant::Claimant;
use super::consuming::consume;
use super::delivery_metrics::DeliveryMetricsGuard;
use super::intake::Received;
use super::lane::{Abandoned, LaneContext, contain, log};
use super::transaction_retry::TransactionRetry;
use crate::fail_point::{self, FailPoint};

/// The most messages that wait in a worker without a free place.
const MOST_WAITING: usize = 256;

/// A claim of so many messages costs little more for each than a larger one.
const SMALL_CLAIM: usize = 32;

/// The prefetch of a lane whose claimant has so many places.
pub(super) fn prefetch(places: usize) -> u16 {
    u16::try_from(places.clamp(1, MOST_WAITING)).unwrap_or(u16::MAX)
}

/// How many messages one claim takes, of so many free places. What begins together ends together if it takes equally long, and then all
/// of its places are free while it is committed and more is claimed: claims of half of the places spread the begins.
fn at_once(free: usize) -> usize {
    free.min(MOST_WAITING).min((free / 2).max(SMALL_CLAIM))
}

/// Runs the lane, and the work that the claimant took over. `consuming` is what [`consume`] takes; `batches` makes the part of the lane
/// that processes other messages.
pub(super) async fn run(
    claimant: Arc<dyn Claimant>,
    consuming: (LaneContext, Queue, ConsumeOptions, Box<dyn Consumer>),
    batches: impl Fn(LaneContext) -> BatchLane,
) {
    let (context, queue, options, consumer) = consuming;
    let (stop, abandon) = (context.stop.clone(), context.abandon.clone());
    let no_more = CancellationToken::new();
    let claiming = async {
        let run = |context, consumer| {
            let lane = ClaimLane {
                claimant: claimant.clone(),
                batches: batches(context),
            };
            lane.run(consumer)
        };
        consume(context, queue, options, consumer, run).await;
        no_more.cancel();
    };
    tokio::join!(claiming, claimant.work(stop, no_more.clone(), abandon));
}

/// A lane whose messages are claimed.
#[derive(Clone, Debug)]
pub(super) struct ClaimLane {
    pub(super) claimant: Arc<dyn Claimant>,
    /// Receives all messages, and processes those that are not claimed.
    pub(super) batches: BatchLane,
}

impl ClaimLane {
    /// Runs until it is stopped or the bus is closed. Messages that are taken and not claimed go back to the queue.
    pub(super) async fn run(self, mut consumer: Box<dyn Consumer>) {
        let LaneContext {
            stop,
            abandon,
            cut_off,
            ..
        } = self.batches.context.clone();
        loop {
            let batch = async {
                let free = self.claimant.free().await;
                consumer.take(at_once(free)).await
            };
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = abandon.cancelled() => break,
                () = cut_off.cancelled() => break,
                batch = batch => batch,
            };
            let Some(batch) = batch else { break };
            if self.process(batch).await.is_err() {
                break;
            }
        }
        consumer.close().await;
    }

    async fn process(&self, batch: Batch) -> Result<(), Abandoned> {
        fail_point::pass(FailPoint::AfterReceived);
        let lane = &self.batches;
        let now = lane.context.clock.now();
        let deliveries = batch.deliveries.into_iter();
        let mut messages: Vec<Received> = deliveries.map(|delivery| lane.receive(delivery, now)).collect();
        let mut metrics_guard = DeliveryMetricsGuard::of(&lane.metrics, &mut messages);
        metrics_guard.begin("claim");
        let (claimed, others): (Vec<usize>, Vec<usize>) =
            (0..messages.len()).partition(|place| self.claimable(&messages[*place]).is_some());
        let mut settlements = vec![Settlement::Claimed; messages.len()];
        let claimable: Vec<&Envelope> = claimed
            .iter()
            .filter_map(|place| self.claimable(&messages[*place]))
            .collect();
        if !claimable.is_empty() {
            self.claim(&claimable, &messages, &claimed, &mut settlements)
                .await?;
        }
        if !others.is_empty() {
            let rest: Vec<Received> = others.iter().map(|place| messages[*place].clone()).collect();
            for (place, settlement) in others.into_iter().zip(lane.process(&rest).await?) {
                settlements[place] = settlement;
            }
        }
        metrics_guard.settled(&mut messages, &settlements);
        for (message, settlement) in messages.iter().zip(&settlements) {
            log(lane.context.lane, message, settlement);
        }
        lane.context
            .publish_consequences(&messages, &mut settlements)
            .await?;
        for cause in settlements.iter().filter_map(with_follow_ups) {
            lane.context.publish_follow_ups(&cause).await?;
        }
        batch.receipt.ack().await;
        metrics_guard.acknowledged();
        Ok(())
    }

    /// The message, if a worker published it and the claimant takes it over.
    fn claimable<'a>(&self, message: &'a Received) -> Option<&'a Envelope> {
        let allowed = message.from_worker && message.denial.is_none();
        let envelope = message.decoded.as_ref().ok().filter(|_| allowed)?;
        let claims = contain(|| self.claimant.claims(&envelope.message)).unwrap_or(false);
        claims.then_some(envelope)
    }

    /// Claims messages, and repeats that while the store is unavailable. A failure that lasts settles them as it settles others.
    async fn claim(
        &self,
        envelopes: &[&Envelope],
        messages: &[Received],
        places: &[usize],
        settlements: &mut [Settlement],
    ) -> Result<(), Abandoned> {
        let context = &self.batches.context;
        let claiming = async {
            let mut retry = TransactionRetry::of(context.lane);
            loop {
                match self.claimant.claim(envelopes).await {
                    Ok(()) => return Ok(Ok(())),
                    Err(error) => match retry.after(error) {
                        Ok(pause) => context.pause(pause).await?,
                        Err(error) => return Ok(Err(error)),
                    },
                }
            }
        };
        if let Err(error) = context.with_store(claiming).await? {
            let error = super::ProcessingError::from(error);
            for place in places {
                settlements[*place] = context.fail(&messages[*place], error.clone()).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefetch_is_bounded_by_the_places() {
        for (places, expected) in [(0, 1), (1, 1), (255, 255), (256, 256), (1000, 256)] {
            assert_eq!(prefetch(places), expected, "{places}");
        }
    }

    #[test]
    fn a_claim_takes_half_of_the_free_places_unless_few_are_free() {
        for (free, expected) in [
            (1, 1),
            (32, 32),
            (33, 32),
            (64, 32),
            (100, 50),
            (256, 128),
            (1000, 256),
        ] {
            assert_eq!(at_once(free), expected, "{free}");
        }
    }
}
