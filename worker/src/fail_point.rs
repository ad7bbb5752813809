//! Named points at which a test may kill the process, to prove that a crash between any two steps loses nothing.
//!
//! Without the feature `fail-points` this does nothing at all.

/// Where a worker can be made to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// A batch was taken, nothing was looked at.
    AfterReceived,
    /// The transaction read its facts and wrote its inbox rows, and is not committed.
    AfterInbox,
    /// The transaction is committed, nothing is published.
    AfterCommit,
    /// Results are handed to the broker, not confirmed.
    AfterPublish,
    /// Results are confirmed.
    AfterConfirm,
    /// The next step is the acknowledgement.
    BeforeAck,
}

impl FailPoint {
    /// Every point.
    pub const ALL: &[Self] = &[
        Self::AfterReceived,
        Self::AfterInbox,
        Self::AfterCommit,
        Self::AfterPublish,
        Self::AfterConfirm,
        Self::BeforeAck,
    ];

    /// The name by which the environment chooses it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterReceived => "after-received",
            Self::AfterInbox => "after-inbox",
            Self::AfterCommit => "after-commit",
            Self::AfterPublish => "after-publish",
            Self::AfterConfirm => "after-confirm",
            Self::BeforeAck => "before-ack",
        }
    }
}

/// Dies by SIGKILL when the environment variable `LOCKSTEP_FAIL_POINT` names this point, as `NAME` or `NAME:COUNT` (the
/// COUNT-th time it is passed).
#[cfg(feature = "fail-points")]
pub fn pass(point: FailPoint) {
    armed::pass(point);
}

/// Does nothing: this build has no fail points.
#[cfg(not(feature = "fail-points"))]
#[inline]
pub fn pass(_point: FailPoint) {}

#[cfg(feature = "fail-points")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::FailPoint;

    static ARMED: OnceLock<Option<(FailPoint, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn pass(point: FailPoint) {
        let Some((armed, count)) = ARMED.get_or_init(read) else {
            return;
        };
        if *armed == point && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "fail points exist in test builds only, outside of the configuration"
    )]
    fn read() -> Option<(FailPoint, u64)> {
        let text = std::env::var("LOCKSTEP_FAIL_POINT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        let point = FailPoint::ALL
            .iter()
            .copied()
            .find(|point| point.as_str() == name)?;
        Some((point, count.parse().ok()?))
    }
}
