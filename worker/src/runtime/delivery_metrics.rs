//! What operators are told of deliveries: how many are in hand, how they ended and when, and the spans of their traces.

use std::sync::Arc;
use std::time::Instant;

use lockstep_protocol::WorkResult;
use lockstep_telemetry::{LaneMetrics, MessageOutcome, Span, Tally};

use super::Settlement;
use super::intake::Received;
use lockstep_store::InboxRow;

/// Goes with deliveries from taken to acknowledged. Dropped before, they were given back: nothing is counted.
#[derive(Debug)]
pub(super) struct DeliveryMetricsGuard {
    metrics: Arc<LaneMetrics>,
    began: Instant,
    deliveries: usize,
    tally: Tally,
    /// The work on messages whose trace is recorded, by their place.
    works: Vec<(usize, Span)>,
    /// Their results on the way to the broker.
    results: Vec<Span>,
    /// The work on all of them.
    together: Option<Span>,
}

impl DeliveryMetricsGuard {
    /// These were taken. What follows from a message whose trace is recorded belongs to the span of its work.
    pub(super) fn of(metrics: &Arc<LaneMetrics>, messages: &mut [Received]) -> Self {
        metrics.taken(messages.len());
        let mut works = Vec::new();
        if Span::are_made() {
            for (place, message) in messages.iter_mut().enumerate() {
                works.extend(work(metrics, message).map(|span| (place, span)));
            }
        }
        Self {
            metrics: metrics.clone(),
            began: Instant::now(),
            deliveries: messages.len(),
            tally: Tally::default(),
            together: None,
            results: Vec::new(),
            works,
        }
    }

    /// Of several, in their order, that are now worked together; the time counts from here.
    pub(super) fn joined(metrics: &Arc<LaneMetrics>, metrics_guards: Vec<Self>) -> Self {
        let mut joined = Self::of(metrics, &mut []);
        for mut metrics_guard in metrics_guards {
            let places = joined.deliveries;
            let works = metrics_guard.works.drain(..);
            joined
                .works
                .extend(works.map(|(place, span)| (places + place, span)));
            joined.deliveries += std::mem::take(&mut metrics_guard.deliveries);
        }
        joined
    }

    /// The work on them begins.
    pub(super) fn begun(&mut self, name: &'static str) {
        let works = self.works.iter().map(|(_, span)| span);
        self.together = Span::together(name, self.deliveries, works);
    }

    /// It is decided what becomes of them. The result of a message whose trace is recorded belongs to a span of its own.
    pub(super) fn settled(&mut self, messages: &mut [Received], settlements: &[Settlement]) {
        for settlement in settlements {
            count(&mut self.tally, settlement);
        }
        self.together = None;
        for (place, work) in &self.works {
            let (Some(settlement), Some(message)) = (settlements.get(*place), messages.get_mut(*place))
            else {
                continue;
            };
            let (outcome, row) = completion(settlement);
            work.outcome(outcome.as_str());
            if outcome == MessageOutcome::Dead {
                work.failed("dead");
            }
            let result = row.and_then(|row| work.result(row.result.kind().as_str()));
            if let (Some(result), Ok(envelope)) = (&result, &mut message.decoded) {
                envelope.traceparent = Some(result.traceparent());
            }
            self.results.extend(result);
        }
    }

    /// They are acknowledged.
    pub(super) fn acknowledged(self) {
        self.metrics.acknowledged(&self.tally, self.began.elapsed());
    }
}

impl Drop for DeliveryMetricsGuard {
    fn drop(&mut self) {
        self.metrics.let_go(self.deliveries);
    }
}

/// The work on a message, if its trace is recorded.
fn work(metrics: &LaneMetrics, message: &mut Received) -> Option<Span> {
    let envelope = message.decoded.as_mut().ok()?;
    let kind = envelope.message.kind().as_str();
    let id = message.identity.id.as_str();
    let span = Span::work(metrics.lane(), kind, id, envelope.traceparent.as_ref())?;
    envelope.traceparent = Some(span.traceparent());
    Some(span)
}

fn count(tally: &mut Tally, settlement: &Settlement) {
    match settlement {
        Settlement::Applied(_) => tally.applied(),
        Settlement::Dead(row) => tally.dead(match &row.result {
            WorkResult::MessageRejected(rejected) => Some(rejected.code),
            _ => None,
        }),
        Settlement::Retry { delay, .. } => tally.retried(*delay),
        Settlement::Forward { .. } => tally.forwarded(),
        Settlement::Postpone { .. } | Settlement::Waiting => tally.postponed(),
    }
}

fn completion(settlement: &Settlement) -> (MessageOutcome, Option<&InboxRow>) {
    match settlement {
        Settlement::Applied(row) => (MessageOutcome::Applied, Some(row)),
        Settlement::Dead(row) => (MessageOutcome::Dead, Some(row)),
        Settlement::Retry { .. } => (MessageOutcome::Retried, None),
        Settlement::Forward { .. } => (MessageOutcome::Forwarded, None),
        Settlement::Postpone { .. } | Settlement::Waiting => (MessageOutcome::Postponed, None),
    }
}
