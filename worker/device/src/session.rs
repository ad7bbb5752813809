use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;

use crate::DeviceError;

/// The most bytes of the name of a session.
const LONGEST: usize = 64;

/// The name of a configuration session: letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName(String);

/// The text is not the name of a configuration session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not the name of a configuration session: up to {LONGEST} letters, digits, \"-\", \"_\" and \".\""
)]
pub struct SessionNameError(String);

impl SessionName {
    /// The name.
    ///
    /// # Errors
    /// The text is empty, too long, or has other characters.
    pub fn new(name: impl Into<String>) -> Result<Self, SessionNameError> {
        let name = name.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(allowed) {
            return Err(SessionNameError(name));
        }
        Ok(Self(name))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It is open, and not committed.
    Pending,
    /// It is committed, and rolled back when its timer is over, unless it is confirmed.
    PendingTimer,
}

/// A configuration session that has not ended. Its name may be one that somebody else chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSession {
    /// Its name, as the device shows it.
    pub name: String,
    /// What it waits for.
    pub state: SessionState,
    /// Who opened it, and from where, as far as the device tells.
    pub user: Option<String>,
    /// When its timer rolls it back, by the clock of the device.
    pub rolls_back_at: Option<Timestamp>,
    /// How long it is there, as far as the device tells.
    pub age: Option<Duration>,
}

/// Changes the configuration of a device: a candidate replaces the whole configuration in a session, its difference is shown, it is
/// committed with a timer, and confirmed. What is not confirmed in time is rolled back by the device.
///
/// Names: a device with one candidate instead of named sessions (NETCONF) uses the name as the identifier of its confirmed commit.
#[async_trait]
pub trait ConfigurationSessions: Send {
    /// Opens a session and loads the configuration in the place of the whole one. A session with this name must not exist.
    ///
    /// # Errors
    /// The device refuses a line, has too many sessions, or is locked by another one. No session is left behind, as far as the device can
    /// be reached.
    async fn load(&mut self, session: &SessionName, configuration: &str) -> Result<(), DeviceError>;

    /// How the session differs from the running configuration, as the device shows it, without lines that name the session. Empty if it
    /// does not.
    ///
    /// # Errors
    /// See [`DeviceError`].
    async fn difference(&mut self, session: &SessionName) -> Result<String, DeviceError>;

    /// Commits the session. The device rolls back after this time unless it is confirmed.
    ///
    /// # Errors
    /// The device refuses, as while a commit of somebody else waits for its confirmation. After an error that may have run,
    /// [`pending`](Self::pending) tells whether it is committed.
    async fn commit(&mut self, session: &SessionName, rollback_after: Duration) -> Result<(), DeviceError>;

    /// Confirms the commit, and keeps the configuration over a restart of the device.
    ///
    /// # Errors
    /// The device refuses, or the timer is over ([`NotPending`](DeviceError::NotPending)). After an error that may have run,
    /// [`pending`](Self::pending) tells, except for [`NotSaved`](DeviceError::NotSaved): it is confirmed then.
    async fn confirm(&mut self, session: &SessionName) -> Result<(), DeviceError>;

    /// Ends the session. What is committed with a timer is rolled back at once.
    ///
    /// # Errors
    /// There is no such session ([`NotPending`](DeviceError::NotPending)), or see [`DeviceError`].
    async fn abort(&mut self, session: &str) -> Result<(), DeviceError>;

    /// The sessions that have not ended, with those of others, ordered by name.
    ///
    /// # Errors
    /// See [`DeviceError`].
    async fn pending(&mut self) -> Result<Vec<PendingSession>, DeviceError>;
}
