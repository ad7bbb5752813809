use std::time::Duration;

/// How long starts of deliveries are kept: whoever counts them does so within minutes.
pub(super) const DELIVERY_ATTEMPTS: Duration = Duration::from_hours(24);

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Inbox rows. A message that comes again after its row is gone is worked again.
    pub inbox: Duration,
    /// Causes, since they arose; those that a device lists as open stay.
    pub causes: Duration,
    /// Dead letters, since they were requeued or dropped; others stay.
    pub dead_letters: Duration,
}

impl Keep {
    /// The least that may be said for the inbox: a message may wait for days in a queue that nobody reads, and be delivered
    /// again when the work on it is long done.
    pub const LEAST_INBOX: Duration = Duration::from_hours(48);
}
