//! Metrics of the trace exporter.

use crate::families::SPANS_DROPPED;

/// Makes the counter exist.
pub(crate) fn begin() {
    SPANS_DROPPED.counter::<&'static str>([]).absolute(0);
}

/// Counts spans that were not exported.
pub fn dropped(spans: usize) {
    SPANS_DROPPED
        .counter::<&'static str>([])
        .increment(u64::try_from(spans).unwrap_or(u64::MAX));
}
