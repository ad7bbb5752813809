//! Consumes the queue of a lane, and pauses while the store does not answer this worker.
//!
//! Messages that a lane took and did not begin would wait as long as the store is away, while other workers could process them. So
//! the lane closes its consumer, which returns them to the queue, and consumes again when the store answers: once for each
//! outage, whatever its length, since every return counts towards the delivery limit of the queue.

use std::time::Duration;

use lockstep_bus::{BusError, ConsumeOptions, Consumer};
use lockstep_protocol::topology::Queue;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::error_chain::chain;
use super::lane::LaneContext;

/// Runs a lane until it is stopped or the bus is closed. `run` processes what a consumer delivers, and closes it at its end.
pub(super) async fn consume<F: Future<Output = ()>>(
    context: LaneContext,
    queue: Queue,
    options: ConsumeOptions,
    mut consumer: Box<dyn Consumer>,
    run: impl Fn(LaneContext, Box<dyn Consumer>) -> F,
) {
    loop {
        let cut_off = CancellationToken::new();
        let lane = LaneContext {
            cut_off: cut_off.clone(),
            ..context.clone()
        };
        run(lane, consumer).await;
        if !cut_off.is_cancelled() {
            return;
        }
        tracing::warn!(lane = %context.lane, queue = queue.name(), "the store does not answer; what the lane took and did not process is back in the queue, for other workers");
        let again = async {
            context.store_reach.back().await;
            context.give_back_owed().await;
            consume_again(&context, &queue, options).await
        };
        let again = tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            () = context.abandon.cancelled() => return,
            again = again => again,
        };
        let Some(again) = again else { return };
        tracing::info!(lane = %context.lane, queue = queue.name(), "the store answers; the lane takes messages again");
        consumer = again;
    }
}

/// `None` if the bus was closed.
async fn consume_again(
    context: &LaneContext,
    queue: &Queue,
    options: ConsumeOptions,
) -> Option<Box<dyn Consumer>> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    loop {
        match context.bus.consume(queue.clone(), options).await {
            Ok(consumer) => return Some(consumer),
            Err(BusError::Closed) => return None,
            Err(error) => {
                tracing::warn!(lane = %context.lane, queue = queue.name(), error = chain(&error), "the queue cannot be consumed; the lane tries again");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}
