//! Decides what an error in processing a message means for the message, for batches and runs alike.

use lockstep_protocol::Code;
use lockstep_protocol::topology::RetryDelay;
use lockstep_store::{Retryability, StoreError};

use super::error_chain::chain;
use super::retry::retry_delay_after;
use crate::handlers::Rejection;

/// Why a message was not processed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} at {place}: {reason}")]
pub struct ProcessingError {
    /// How it is treated.
    pub class: Retryability,
    /// Why, for programs: the code with which the message is dead-lettered, if it comes to that.
    pub code: Code,
    /// Where in the message, as a JSON path.
    pub place: String,
    /// Why, for people.
    pub reason: String,
}

impl ProcessingError {
    /// Another attempt may succeed.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self {
            class: Retryability::Transient,
            code: Code::AttemptsExhausted,
            place: "$".to_owned(),
            reason: reason.into(),
        }
    }

    /// The message has to wait; it is not to blame.
    pub fn later(reason: impl Into<String>) -> Self {
        Self {
            class: Retryability::Later,
            ..Self::transient(reason)
        }
    }

    /// The handler or the runner panicked.
    pub(super) fn panicked(reason: &str) -> Self {
        Self {
            code: Code::Crashed,
            ..Self::transient(format!("the handler panicked: {reason}"))
        }
    }
}

/// No attempt can succeed.
impl From<Rejection> for ProcessingError {
    fn from(rejection: Rejection) -> Self {
        Self {
            class: Retryability::Permanent,
            code: rejection.code,
            place: rejection.place,
            reason: rejection.reason,
        }
    }
}

impl From<StoreError> for ProcessingError {
    fn from(error: StoreError) -> Self {
        let class = error.retryability();
        let code = match class {
            Retryability::Permanent => Code::StoreRefused,
            Retryability::Later | Retryability::Transient => Code::AttemptsExhausted,
        };
        Self {
            class,
            code,
            ..Self::transient(chain(&error))
        }
    }
}

/// What is done about an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FailureAction {
    /// The message waits for this delay and comes back as this attempt.
    Retry { delay: RetryDelay, attempt: u32 },
    /// The message waits, without an attempt spent.
    Postpone,
    /// The message is dead-lettered, or refused to its sender.
    Reject(Rejection),
}

/// The rule: what an error of this class means for a message at this attempt.
pub(super) fn on_failure(error: ProcessingError, attempt: u32) -> FailureAction {
    let ProcessingError {
        class,
        code,
        place,
        reason,
    } = error;
    match (class, retry_delay_after(attempt)) {
        (Retryability::Later, _) => FailureAction::Postpone,
        (Retryability::Permanent, _) => FailureAction::Reject(Rejection::new(code, place, reason)),
        (Retryability::Transient, Some(delay)) => FailureAction::Retry {
            delay,
            attempt: attempt + 1,
        },
        (Retryability::Transient, None) => {
            let reason = format!("{reason} (attempt {attempt}, the last one)");
            FailureAction::Reject(Rejection::new(code, place, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> StoreError {
        StoreError::Refused {
            operation: "commit",
            source: "no NUL in text".into(),
        }
    }

    fn conflict() -> StoreError {
        StoreError::Conflict {
            operation: "commit",
            source: "deadlock".into(),
        }
    }

    fn corrupt() -> StoreError {
        StoreError::Corrupt {
            what: "inbox.state".to_owned(),
            reason: "unknown".to_owned(),
        }
    }

    #[test]
    fn each_class_has_one_action_whatever_the_error_came_from() {
        let retry = |delay, attempt| FailureAction::Retry { delay, attempt };
        let dead = |code, reason: &str| FailureAction::Reject(Rejection::new(code, "$", reason));
        let panicked = || ProcessingError::panicked("index out of bounds");
        let rejection = Rejection::new(Code::UnknownBranch, "$.data", "no branch main");
        let table = [
            (panicked(), 1, retry(RetryDelay::Seconds5, 2)),
            (panicked(), 4, retry(RetryDelay::Minutes10, 5)),
            (
                panicked(),
                5,
                dead(
                    Code::Crashed,
                    "the handler panicked: index out of bounds (attempt 5, the last one)",
                ),
            ),
            (
                ProcessingError::transient("no route"),
                1,
                retry(RetryDelay::Seconds5, 2),
            ),
            (
                ProcessingError::transient("no route"),
                5,
                dead(Code::AttemptsExhausted, "no route (attempt 5, the last one)"),
            ),
            (ProcessingError::later("busy"), 1, FailureAction::Postpone),
            (ProcessingError::later("busy"), 5, FailureAction::Postpone),
            (rejection.clone().into(), 1, FailureAction::Reject(rejection)),
            (
                refused().into(),
                1,
                dead(
                    Code::StoreRefused,
                    "the store refused the operation (commit): no NUL in text",
                ),
            ),
            (conflict().into(), 5, FailureAction::Postpone),
            (corrupt().into(), 2, retry(RetryDelay::Seconds30, 3)),
        ];
        for (error, attempt, expected) in table {
            assert_eq!(on_failure(error.clone(), attempt), expected, "{error} {attempt}");
        }
    }
}
