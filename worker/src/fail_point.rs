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
    /// A part of what follows from a message is published, the rest is not.
    AmidFanOut,
    /// A run holds its lease, and has done nothing under it.
    AfterLease,
    /// A run knows what it will commit under its lease, and has not begun to.
    BeforeChange,
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
            Self::AmidFanOut => "amid-fan-out",
            Self::AfterLease => "after-lease",
            Self::BeforeChange => "before-change",
        }
    }
}

/// Obeys the environment variable `LOCKSTEP_FAIL_POINT`, which is `NAME:COUNT:kill` or `NAME:COUNT:stop`: the COUNT-th
/// time the point of that name is passed, the process dies by SIGKILL, or stops by SIGSTOP until somebody lets it go on.
#[cfg(feature = "fail-points")]
pub fn pass(point: FailPoint) {
    armed::pass(point);
}

/// Obeys the environment variable `LOCKSTEP_POISON`: work on a message with this subject kills the process.
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

    use rustix::process::{Signal, getpid, kill_process};

    use super::FailPoint;

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
