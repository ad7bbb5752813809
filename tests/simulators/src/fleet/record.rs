use std::sync::Arc;
use std::time::Duration;

/// The most changes that a device remembers, because they have configurations.
const LONGEST: usize = 256;

/// What happened to the configuration of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A session was opened.
    Opened,
    /// The candidate of a session became the running configuration.
    Committed { timer: Option<Duration> },
    /// The commit of a session is to stay.
    Confirmed,
    /// The running configuration is again what it was before the commit of a session.
    RolledBack(Reason),
    /// A session was dropped before it was committed.
    Aborted,
    /// The running configuration was changed without a session.
    Configured,
    /// The running configuration was saved as the startup configuration.
    Saved,
    /// The device restarted with its startup configuration.
    Restarted,
}

/// Why a commit was rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The timer was over.
    Timer,
    /// The session was aborted.
    Abort,
    /// The device restarted.
    Restart,
    /// The device did it by itself after the confirmation.
    Device,
}

/// A change of a device, with the time since the start of the simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub at: Duration,
    /// The session, if it was one.
    pub session: Option<String>,
    pub user: String,
    pub change: Change,
    /// The running configuration afterwards, if it changed.
    pub running: Option<Arc<str>>,
}

/// Numbers of changes of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub commits: usize,
    pub confirms: usize,
    pub rollbacks: usize,
    pub aborts: usize,
}

/// The changes of a device.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) changes: Vec<Recorded>,
    pub(crate) totals: Totals,
}

impl Record {
    pub(crate) fn add(&mut self, recorded: Recorded) {
        let totals = &mut self.totals;
        match &recorded.change {
            Change::Committed { .. } => totals.commits += 1,
            Change::Confirmed => totals.confirms += 1,
            Change::RolledBack(_) => totals.rollbacks += 1,
            Change::Aborted => totals.aborts += 1,
            Change::Opened | Change::Configured | Change::Saved | Change::Restarted => {}
        }
        if self.changes.len() == LONGEST {
            self.changes.remove(0);
        }
        self.changes.push(recorded);
    }
}
