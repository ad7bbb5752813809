use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Device;

/// What all devices share. Each device is locked by itself, so that thousands of them can be busy at once.
#[derive(Debug)]
pub(crate) struct Shared {
    accounts: Mutex<Accounts>,
    counts: Mutex<Counts>,
    devices: Vec<Mutex<DeviceState>>,
}

/// The user of all devices.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) enable_password: Option<String>,
}

/// A device, and what it was asked.
#[derive(Debug)]
pub(crate) struct DeviceState {
    pub(crate) device: Device,
    pub(crate) commands: Vec<String>,
    pub(crate) connections: usize,
}

/// Counts over all devices.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: usize,
    running: usize,
    pub(crate) peak: usize,
}

impl Shared {
    pub(crate) fn new(devices: Vec<Device>, accounts: Accounts) -> Self {
        let state = |device| {
            Mutex::new(DeviceState {
                device,
                commands: Vec::new(),
                connections: 0,
            })
        };
        Self {
            accounts: Mutex::new(accounts),
            counts: Mutex::default(),
            devices: devices.into_iter().map(state).collect(),
        }
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        lock(&self.accounts)
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }

    /// # Panics
    /// There is no such device.
    pub(crate) fn device(&self, index: usize) -> MutexGuard<'_, DeviceState> {
        lock(&self.devices[index])
    }

    /// Counts a request as in flight until the guard is dropped, also by a closed connection.
    pub(crate) fn begin(&self) -> impl Drop {
        let mut counts = self.counts();
        counts.requests += 1;
        counts.running += 1;
        counts.peak = counts.peak.max(counts.running);
        InFlight(self)
    }
}

struct InFlight<'shared>(&'shared Shared);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counts().running -= 1;
    }
}

/// A test that panicked under a lock has failed already, so a poisoned lock is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
