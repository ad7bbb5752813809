use std::time::Duration;

/// How long delivery attempts are kept. A message that is redelivered without an end is dead-lettered within minutes.
pub(super) const DELIVERY_ATTEMPTS: Duration = Duration::from_hours(24);

/// How long sessions of browsers are kept after their end: as long as somebody may ask why one ended.
pub(super) const LOGIN_SESSIONS: Duration = Duration::from_hours(24);

/// How long samples of the fleet are kept: those of minutes, and those of hours. At most 2,880 and 8,760 of them.
pub(super) const MINUTE_SAMPLES: Duration = Duration::from_hours(2 * 24);
pub(super) const HOUR_SAMPLES: Duration = Duration::from_hours(365 * 24);

/// How long records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Inbox rows. A message that is redelivered after its row was deleted is processed again. As long, former hostnames and removed
    /// links, which older messages may name.
    pub inbox: Duration,
    /// Causes, from their creation, and the history of devices. Open causes of devices are not deleted.
    pub causes: Duration,
    /// Dead letters, from when they were requeued or dropped. Unsettled ones are not deleted.
    pub dead_letters: Duration,
    /// Executions and their elements, from their end. Those that go on are not deleted.
    pub executions: Duration,
    /// Whole differences, rendered and previous configurations of syncs, from the end of the execution. They go with it at the latest.
    pub sync_texts: Duration,
    /// Entries of the audit.
    pub audit: Duration,
}

impl Keep {
    /// The minimum for the inbox. A message may stay for days in a queue without a consumer, and be redelivered long after it was
    /// processed.
    pub const LEAST_INBOX: Duration = Duration::from_hours(48);
}
