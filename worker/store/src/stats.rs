use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::DeviceState;

use super::StoreError;

/// Tells operators how the fleet and the store are doing.
#[async_trait]
pub trait Stats: Debug + Send + Sync + 'static {
    /// The fleet in a few numbers. One look over all devices: for every now and then, not for every request.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn summary(&self) -> Result<Summary, StoreError>;

    /// How full the pool of sessions is.
    fn sessions(&self) -> Sessions;
}

/// The fleet in a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Devices by state, in the order of [`DeviceState::ALL`]; a state without devices is absent.
    pub devices: Vec<DevicesInState>,
    /// Dead letters that nobody settled yet.
    pub dead_letters: u64,
}

/// The devices in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicesInState {
    /// The state.
    pub state: DeviceState,
    /// How many there are.
    pub all: u64,
    /// How many of them are not synchronized.
    pub unsynchronized: u64,
    /// Since when the one has not been that has waited longest.
    pub since: Option<Timestamp>,
}

/// How full a pool of sessions is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// The most there may be.
    pub limit: usize,
    /// How many are open.
    pub open: usize,
    /// How many of them nobody uses.
    pub idle: usize,
    /// How many wait for one.
    pub waiting: usize,
}

impl Summary {
    /// Puts the states into their order.
    pub(super) fn new(mut devices: Vec<DevicesInState>, dead_letters: u64) -> Self {
        devices.sort_unstable_by_key(|devices| devices.state);
        Self {
            devices,
            dead_letters,
        }
    }
}
