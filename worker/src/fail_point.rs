//! Defines the points at which a test can kill or stop the process, to prove that a crash between any two steps loses nothing.
//!
//! Without the feature `fail-points` the functions do nothing.

/// A point at which a test can kill or stop a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// A batch is taken, and nothing is decoded yet.
    AfterReceived,
    /// The decisions of the transaction are made, and it is not committed.
    AfterInbox,
    /// The transaction is committed, and nothing is published.
    AfterCommit,
    /// Results are sent to the broker, and not confirmed.
    AfterPublish,
    /// Results and follow-ups are confirmed.
    AfterConfirm,
    /// The next step is the acknowledgement.
    BeforeAck,
    /// Some follow-ups of a message are published, and some are not.
    AmidFanOut,
    /// A run holds its lease, and has not started.
    AfterLease,
    /// A run has decided what to commit under its lease, and has not begun the transaction.
    BeforeChange,
    /// Elements are claimed, and their messages are not acknowledged.
    AfterClaim,
    /// The provider of an element ended, and its end is not committed.
    ElementRan,
    /// The ends of elements are committed, and nothing is published about them.
    AfterFinish,
    /// Changes of an inventory are published, and its place in the change log is not kept.
    SourceRead,
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
        Self::AmidFanOut,
        Self::AfterLease,
        Self::BeforeChange,
        Self::AfterClaim,
        Self::ElementRan,
        Self::AfterFinish,
        Self::SourceRead,
    ];

    /// The name of the point in `LOCKSTEP_FAIL_POINT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterReceived => "after-received",
            Self::AfterInbox => "after-inbox",
            Self::AfterCommit => "after-commit",
            Self::AfterPublish => "after-publish",
            Self::AfterConfirm => "after-confirm",
            Self::BeforeAck => "before-ack",
            Self::AmidFanOut => "amid-fan-out",
            Self::AfterLease => "after-lease",
            Self::BeforeChange => "before-change",
            Self::AfterClaim => "after-claim",
            Self::ElementRan => "element-ran",
            Self::AfterFinish => "after-finish",
            Self::SourceRead => "source-read",
        }
    }
}

/// Obeys the environment variable `LOCKSTEP_FAIL_POINT`, which is `NAME:COUNT:kill` or `NAME:COUNT:stop`: the COUNT-th
/// time the process passes the point of that name, it gets SIGKILL, or SIGSTOP, after which SIGCONT resumes it.
#[cfg(feature = "fail-points")]
pub fn pass(point: FailPoint) {
    armed::pass(point);
}

/// Obeys the environment variable `LOCKSTEP_POISON`: processing a message with this subject kills the process.
#[cfg(feature = "fail-points")]
pub fn pass_with(subject: Option<&str>) {
    armed::pass_with(subject);
}

/// Does nothing: this build has no fail points.
#[cfg(not(feature = "fail-points"))]
#[inline]
pub fn pass(_point: FailPoint) {}

/// Does nothing: this build has no fail points.
#[cfg(not(feature = "fail-points"))]
#[inline]
pub fn pass_with(_subject: Option<&str>) {}

#[cfg(feature = "fail-points")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::FailPoint;

    /// A signal to this process stops or kills it within this time.
    const TAKEN_WITHIN: Duration = Duration::from_millis(200);

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    static POISON: OnceLock<Option<String>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    struct Armed {
        point: FailPoint,
        count: u64,
        signal: Signal,
    }

    pub(super) fn pass(point: FailPoint) {
        let Some(armed) = ARMED.get_or_init(read) else {
            return;
        };
        if armed.point == point && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == armed.count {
            let _ = kill_process(getpid(), armed.signal);
            // Another thread may take the signal; this one goes no further before it stops the process.
            std::thread::sleep(TAKEN_WITHIN);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "fail points exist in test builds only, outside of the configuration"
    )]
    pub(super) fn pass_with(subject: Option<&str>) {
        let poison = POISON.get_or_init(|| std::env::var("LOCKSTEP_POISON").ok());
        if subject.is_some() && subject == poison.as_deref() {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "fail points exist in test builds only, outside of the configuration"
    )]
    fn read() -> Option<Armed> {
        let text = std::env::var("LOCKSTEP_FAIL_POINT").ok()?;
        let armed = parse(&text);
        assert!(
            armed.is_some(),
            "LOCKSTEP_FAIL_POINT is {text:?}, not NAME:COUNT:kill or NAME:COUNT:stop"
        );
        armed
    }

    fn parse(text: &str) -> Option<Armed> {
        let mut parts = text.split(':');
        let (name, count, action) = (parts.next()?, parts.next()?, parts.next()?);
        let point = FailPoint::ALL
            .iter()
            .copied()
            .find(|point| point.as_str() == name)?;
        let signal = match action {
            "kill" => Signal::KILL,
            "stop" => Signal::STOP,
            _ => return None,
        };
        Some(Armed {
            point,
            count: count.parse().ok()?,
            signal,
        })
    }
}
