//! Decides whether a transaction that failed is repeated, and after which wait.

use std::time::Duration;

use lockstep_protocol::topology::Lane;
use lockstep_store::{Retryability, StoreError};

use super::backoff::Backoff;
use super::error_chain::chain;

/// The most repetitions of a transaction because a concurrent one was first, within about ten seconds. The next one sees what that one
/// did, so a few are enough; then messages are processed one by one, and postponed.
const MOST_CONFLICTS: u32 = 24;

/// The repetitions of one transaction.
#[derive(Clone, Debug)]
pub(crate) struct TransactionRetry {
    /// The lane whose messages it is for.
    lane: Option<Lane>,
    unavailable: Backoff,
    contended: Backoff,
    conflicts: u32,
}

impl Default for TransactionRetry {
    fn default() -> Self {
        Self {
            lane: None,
            unavailable: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            contended: Backoff::new(Duration::from_millis(2), Duration::from_millis(500)),
            conflicts: 0,
        }
    }
}

impl TransactionRetry {
    /// For a transaction that processes messages of a lane, which the log names.
    pub(crate) fn of(lane: Lane) -> Self {
        Self {
            lane: Some(lane),
            ..Self::default()
        }
    }

    /// How long to wait before the transaction is repeated after this error, which its message did not cause.
    ///
    /// # Errors
    /// The error, if repeating the transaction does not help.
    pub(crate) fn after(&mut self, error: StoreError) -> Result<Duration, StoreError> {
        if error.is_conflict() && self.conflicts < MOST_CONFLICTS {
            self.conflicts += 1;
            Ok(self.contended.next())
        } else if error.is_conflict() {
            Err(error)
        } else if error.is_lock_timeout() {
            tracing::warn!(
                lane = self.lane.map(Lane::as_str),
                error = chain(&error),
                "another session holds a lock for long; the transaction waits and is tried again"
            );
            Ok(self.contended.next())
        } else if error.retryability() == Retryability::Later {
            tracing::warn!(
                lane = self.lane.map(Lane::as_str),
                error = chain(&error),
                "the store is unavailable; the transaction waits and is tried again"
            );
            Ok(self.unavailable.next())
        } else {
            Err(error)
        }
    }

    /// The same, but only while concurrent transactions are first: for work that is given back when the store is unavailable.
    ///
    /// # Errors
    /// The error, if repeating the transaction at once does not help.
    pub(crate) fn after_conflict(&mut self, error: StoreError) -> Result<Duration, StoreError> {
        if error.is_conflict() || error.is_lock_timeout() {
            return self.after(error);
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict() -> StoreError {
        StoreError::Conflict {
            operation: "commit",
            source: "deadlock".into(),
        }
    }

    fn unavailable() -> StoreError {
        StoreError::Unavailable {
            operation: "begin",
            source: "no connection".into(),
        }
    }

    #[test]
    fn conflicts_are_repeated_soon_and_not_for_ever_and_outages_are_waited_for() {
        let mut retry = TransactionRetry::default();
        for _ in 0..MOST_CONFLICTS {
            assert!(retry.after(conflict()).unwrap() < Duration::from_secs(1));
        }
        assert!(retry.after(conflict()).is_err());
        for _ in 0..100 {
            assert!(retry.after(unavailable()).unwrap() < Duration::from_secs(13));
        }
        assert!(retry.after_conflict(unavailable()).is_err());
        let refused = StoreError::Refused {
            operation: "commit",
            source: "no NUL in text".into(),
        };
        assert!(retry.after(refused).is_err());
    }
}
