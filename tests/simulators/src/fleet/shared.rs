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
    pub(crate) counts: Counts,
}

/// Counts of requests to one device, or to all.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: usize,
    pub(crate) running: usize,
    pub(crate) peak: usize,
}

impl Counts {
    fn begin(&mut self) {
        self.requests += 1;
        self.running += 1;
        self.peak = self.peak.max(self.running);
    }
}

impl Shared {
    pub(crate) fn new(devices: Vec<Device>, accounts: Accounts) -> Self {
        let state = |device| {
            Mutex::new(DeviceState {
                device,
                commands: Vec::new(),
                connections: 0,
                counts: Counts::default(),
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

    /// Counts a request to a device as in flight until the guard is dropped, also by a closed connection.
    pub(crate) fn begin(&self, index: usize) -> impl Drop {
        self.counts().begin();
        self.device(index).counts.begin();
        InFlight { shared: self, index }
    }
}

struct InFlight<'shared> {
    shared: &'shared Shared,
    index: usize,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.shared.counts().running -= 1;
        self.shared.device(self.index).counts.running -= 1;
    }
}

/// A test that panicked under a lock has failed already, so a poisoned lock is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
