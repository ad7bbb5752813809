use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{DeviceState, RepositoryName};

use super::StoreError;

/// Reads the numbers of the fleet and of the store that metrics show.
#[async_trait]
pub trait Stats: Debug + Send + Sync + 'static {
    /// Counts devices and dead letters. Reads all devices: call it every few seconds at most, not for each request.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn summary(&self) -> Result<Summary, StoreError>;

    /// The pool of sessions now.
    fn sessions(&self) -> Sessions;
}

/// Devices by state, and dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// In the order of [`DeviceState::ALL`]; a state without devices is absent.
    pub devices: Vec<DevicesInState>,
    /// Unsettled dead letters.
    pub dead_letters: u64,
    /// Elements of executions that are due or run; those that wait for something else do not count.
    pub due_work: u64,
    /// Repositories that were refreshed, or that cannot be; ordered by name.
    pub repositories: Vec<RepositoryState>,
    /// When they were counted, by the store's clock.
    pub at: Timestamp,
}

/// The devices in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicesInState {
    /// The state that they share.
    pub state: DeviceState,
    /// The number of devices in it.
    pub all: u64,
    /// The number of them that are not synchronized.
    pub unsynchronized: u64,
    /// The earliest time at which one of those stopped being synchronized.
    pub since: Option<Timestamp>,
    /// The earliest time at which one of all of them moved to the state, or at least was in it.
    pub state_since: Option<Timestamp>,
    /// The earliest time at which one of those that are synchronized was last compared with its intended configuration, or came to the
    /// state if it never was.
    pub checked_since: Option<Timestamp>,
    /// The number of them whose [`until`](super::Lifecycle::until) has passed.
    pub expired: u64,
}

/// Whether a repository fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryState {
    /// Its configured name.
    pub name: RepositoryName,
    /// Since when it cannot be fetched or its tip is invalid. `None` if it can and is not.
    pub failing_since: Option<Timestamp>,
    /// When its remote was last asked. `None` before the first time.
    pub asked_at: Option<Timestamp>,
}

/// A pool of sessions with the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// The most sessions that may be open.
    pub limit: usize,
    /// Open sessions, in use or idle.
    pub open: usize,
    /// Open sessions that are not in use.
    pub idle: usize,
    /// Operations that wait for a session.
    pub waiting: usize,
}

impl Summary {
    /// Which repositories fail, on both databases. An older program writes no `problem_since`.
    pub(super) const REPOSITORIES: &str = "\
        SELECT name, min(since), max(asked_at) FROM ( \
            SELECT name, CASE WHEN problem IS NOT NULL THEN coalesce(problem_since, seen_at) END AS since, asked_at FROM repository \
            UNION ALL SELECT name, since, NULL FROM repository_failure) AS state \
        GROUP BY name ORDER BY name";

    /// How many elements are due or run, on both databases, each by an index of its own.
    pub(super) const DUE_WORK: &str = "\
        SELECT (SELECT count(*) FROM element WHERE due_at IS NOT NULL AND outcome = 'open') \
            + (SELECT count(*) FROM element WHERE state = 'RUNNING' AND owner > '')";

    /// Sorts the states.
    pub(super) fn new(
        mut devices: Vec<DevicesInState>,
        dead_letters: u64,
        due_work: u64,
        repositories: Vec<RepositoryState>,
        at: Timestamp,
    ) -> Self {
        devices.sort_unstable_by_key(|devices| devices.state);
        Self {
            devices,
            dead_letters,
            due_work,
            repositories,
            at,
        }
    }
}
