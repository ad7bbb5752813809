//! Metrics of the sources of the inventory. Their names come from the configuration.

use crate::families::{SOURCE_CHANGES_MISSED, SOURCE_POLLS};

const SUCCEEDED: &str = "succeeded";
const FAILED: &str = "failed";

/// Makes the counters of a source exist, so that its first failure is an increase.
pub fn begin_source(source: &str) {
    for outcome in [SUCCEEDED, FAILED] {
        SOURCE_POLLS
            .counter([source.to_owned(), outcome.to_owned()])
            .absolute(0);
    }
    SOURCE_CHANGES_MISSED.counter([source.to_owned()]).absolute(0);
}

/// Counts a poll of a source.
pub fn polled(source: &str, succeeded: bool) {
    let outcome = if succeeded { SUCCEEDED } else { FAILED };
    SOURCE_POLLS
        .counter([source.to_owned(), outcome.to_owned()])
        .increment(1);
}

/// Counts changes that a poll published because no webhook had brought them.
pub fn missed(source: &str, changes: u64) {
    SOURCE_CHANGES_MISSED
        .counter([source.to_owned()])
        .increment(changes);
}
