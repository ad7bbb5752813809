//! Reports deliveries to metrics and traces: how many are in flight, their outcomes, durations and spans.

use std::sync::Arc;
use std::time::Instant;

use lockstep_protocol::WorkResult;
use lockstep_telemetry::{LaneMetrics, MessageOutcome, Span, Tally};

use super::Settlement;
use super::intake::Received;
use lockstep_store::InboxRow;

/// Accompanies deliveries until they are acknowledged. If it is dropped before, they return to the queue and no outcome is
/// counted.
#[derive(Debug)]
pub(super) struct DeliveryMetricsGuard {
    metrics: Arc<LaneMetrics>,
    began: Instant,
    deliveries: usize,
    tally: Tally,
    /// The processing spans of messages whose trace is recorded, with the index of the message.
    spans: Vec<(usize, Span)>,
    /// The spans of results that are being published.
    results: Vec<Span>,
    /// The span of processing all of them together.
    together: Option<Span>,
}

impl DeliveryMetricsGuard {
    /// Counts these deliveries as taken. If the trace of a message is recorded, its processing span becomes the parent of all
    /// spans that follow from it.
    pub(super) fn of(metrics: &Arc<LaneMetrics>, messages: &mut [Received]) -> Self {
        metrics.taken(messages.len());
        let mut spans = Vec::new();
        if Span::are_made() {
            for (index, message) in messages.iter_mut().enumerate() {
                spans.extend(processing_span(metrics, message).map(|span| (index, span)));
            }
        }
        Self {
            metrics: metrics.clone(),
            began: Instant::now(),
            deliveries: messages.len(),
            tally: Tally::default(),
            together: None,
            results: Vec::new(),
            spans,
        }
    }

    /// Joins several guards, in their order, because their messages are now processed together. The duration counts from here.
    pub(super) fn joined(metrics: &Arc<LaneMetrics>, metrics_guards: Vec<Self>) -> Self {
        let mut joined = Self::of(metrics, &mut []);
        for mut metrics_guard in metrics_guards {
            let offset = joined.deliveries;
            let spans = metrics_guard.spans.drain(..);
            joined
                .spans
                .extend(spans.map(|(index, span)| (offset + index, span)));
            joined.deliveries += std::mem::take(&mut metrics_guard.deliveries);
        }
        joined
    }

    /// Starts the span of processing all of them.
    pub(super) fn begin(&mut self, name: &'static str) {
        let spans = self.spans.iter().map(|(_, span)| span);
        self.together = Span::together(name, self.deliveries, spans);
    }

    /// Records the settlements. If the trace of a message is recorded, its result gets its own span.
    pub(super) fn settled(&mut self, messages: &mut [Received], settlements: &[Settlement]) {
        for settlement in settlements {
            count(&mut self.tally, settlement);
        }
        self.together = None;
        for (index, span) in &self.spans {
            let (Some(settlement), Some(message)) = (settlements.get(*index), messages.get_mut(*index))
            else {
                continue;
            };
            let (outcome, row) = completion(settlement);
            span.outcome(outcome.as_str());
            if outcome == MessageOutcome::Dead {
                span.failed("dead");
            }
            let result = row.and_then(|row| span.result(row.result.kind().as_str()));
            if let (Some(result), Ok(envelope)) = (&result, &mut message.decoded) {
                envelope.traceparent = Some(result.traceparent());
            }
            self.results.extend(result);
        }
    }

    /// Counts them as acknowledged, with their outcomes.
    pub(super) fn acknowledged(self) {
        self.metrics.acknowledged(&self.tally, self.began.elapsed());
    }
}

impl Drop for DeliveryMetricsGuard {
    fn drop(&mut self) {
        self.metrics.let_go(self.deliveries);
    }
}

/// The processing span of a message, if its trace is recorded.
fn processing_span(metrics: &LaneMetrics, message: &mut Received) -> Option<Span> {
    let envelope = message.decoded.as_mut().ok()?;
    let kind = envelope.message.kind().as_str();
    let id = message.key.identity.id.as_str();
    let span = Span::work(metrics.lane(), kind, id, envelope.traceparent.as_ref())?;
    envelope.traceparent = Some(span.traceparent());
    Some(span)
}

fn count(tally: &mut Tally, settlement: &Settlement) {
    match settlement {
        Settlement::Applied(_) | Settlement::Claimed => tally.applied(),
        Settlement::Dead(row) => tally.dead(match &*row.result {
            WorkResult::MessageRejected(rejected) => Some(rejected.code),
            _ => None,
        }),
        Settlement::Refused(_) => tally.refused(),
        Settlement::Retry { delay, .. } => tally.retried(*delay),
        Settlement::Forward { .. } => tally.forwarded(),
        Settlement::Postpone { .. } | Settlement::Waiting => tally.postponed(),
    }
}

fn completion(settlement: &Settlement) -> (MessageOutcome, Option<&InboxRow>) {
    match settlement {
        Settlement::Applied(row) => (MessageOutcome::Applied, Some(row)),
        Settlement::Claimed => (MessageOutcome::Applied, None),
        Settlement::Dead(row) => (MessageOutcome::Dead, Some(row)),
        Settlement::Refused(row) => (MessageOutcome::Refused, Some(row)),
        Settlement::Retry { .. } => (MessageOutcome::Retried, None),
        Settlement::Forward { .. } => (MessageOutcome::Forwarded, None),
        Settlement::Postpone { .. } | Settlement::Waiting => (MessageOutcome::Postponed, None),
    }
}
