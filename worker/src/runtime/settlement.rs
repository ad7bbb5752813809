//! What becomes of a message: the closed set, and how a failure maps to it.

use std::sync::Arc;

use lockstep_protocol::Code;
use lockstep_protocol::topology::{Lane, RetryDelay};

use super::retry::retry_delay_after;
use lockstep_store::InboxRow;

/// What becomes of a message, once decided. All of it is published before the message is acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// It is applied, now or before: answer.
    Applied(Arc<InboxRow>),
    /// It is dead, now or before: answer, and put it with the dead letters.
    Dead(Arc<InboxRow>),
    /// It is tried again later, as this attempt.
    Retry {
        /// Where it waits.
        delay: RetryDelay,
        /// Which attempt comes next.
        attempt: u32,
    },
    /// It belongs to another lane, which gets it.
    Forward {
        /// The lane.
        lane: Lane,
    },
    /// It comes back later without an attempt spent.
    Postpone {
        /// Where it waits.
        delay: RetryDelay,
    },
}

/// How the work on one message failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The handler panicked.
    Panicked(String),
    /// Something outside failed in a way that may heal.
    Transient(String),
    /// The store can never keep what the message does.
    Refused(String),
    /// The store holds something that cannot be read.
    Unreadable(String),
}

/// What to do about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FailureAction {
    /// Up the ladder.
    Retry { delay: RetryDelay, attempt: u32 },
    /// Dead, with this code and reason.
    Dead { code: Code, reason: String },
}

/// The rule: what may heal climbs the ladder, what cannot is dead at once.
pub(super) fn on_failure(failure: Failure, attempt: u32) -> FailureAction {
    let (code, reason) = match failure {
        Failure::Refused(reason) => {
            return FailureAction::Dead {
                code: Code::StoreRefused,
                reason,
            };
        }
        Failure::Panicked(reason) => (Code::Crashed, format!("the handler panicked: {reason}")),
        Failure::Transient(reason) | Failure::Unreadable(reason) => (Code::AttemptsExhausted, reason),
    };
    match retry_delay_after(attempt) {
        Some(delay) => FailureAction::Retry {
            delay,
            attempt: attempt + 1,
        },
        None => FailureAction::Dead {
            code,
            reason: format!("{reason} (attempt {attempt}, the last one)"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_climbs_the_retry_delays_and_then_dies() {
        let panic = || Failure::Panicked("index out of bounds".to_owned());
        assert_eq!(
            on_failure(panic(), 1),
            FailureAction::Retry {
                delay: RetryDelay::Seconds5,
                attempt: 2
            }
        );
        assert_eq!(
            on_failure(panic(), 4),
            FailureAction::Retry {
                delay: RetryDelay::Minutes10,
                attempt: 5
            }
        );
        assert!(matches!(
            on_failure(panic(), 5),
            FailureAction::Dead {
                code: Code::Crashed,
                ..
            }
        ));
    }

    #[test]
    fn what_the_store_cannot_keep_is_dead_at_once() {
        let verdict = on_failure(Failure::Refused("no NUL in text".to_owned()), 1);
        assert_eq!(
            verdict,
            FailureAction::Dead {
                code: Code::StoreRefused,
                reason: "no NUL in text".to_owned()
            }
        );
    }
}
