use std::time::Duration;

use super::configuration::Section;

/// A session that is neither committed nor aborted.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) opened: Duration,
    /// Its age when it was opened: a test can open an old session.
    pub(crate) older: Duration,
    pub(crate) candidate: Section,
}

impl Session {
    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.opened) + self.older
    }
}

/// A session that was committed, and possibly still waits for its confirmation.
#[derive(Clone, Debug)]
pub(crate) struct Completed {
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) at: Duration,
}

/// A session of a device, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    pub name: String,
    pub user: String,
    pub age: Duration,
    /// When the device rolls it back, if it is committed with a timer: the time from now.
    pub rolls_back_in: Option<Duration>,
}

/// A session of somebody else.
#[derive(Clone, Debug)]
pub struct ForeignSession {
    pub name: String,
    pub user: String,
    /// How long it is there.
    pub age: Duration,
    /// The commands that it has.
    pub commands: Vec<String>,
    /// It is committed, and rolled back after this time.
    pub timer: Option<Duration>,
}

impl ForeignSession {
    /// An hour old session of `alice` that is not committed.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            user: "alice".to_owned(),
            age: Duration::from_hours(1),
            commands: Vec::new(),
            timer: None,
        }
    }
}
