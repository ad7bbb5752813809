use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Device;
use super::clock::{Clock, Time};
use super::configuration::{self, Editor, Pattern};
use super::configurations::{Author, Configurations, Problem};
use super::injection::{Injection, When};
use crate::hold::Holds;

/// What all devices share. Each device is locked by itself, so that thousands of them can be busy at once.
#[derive(Debug)]
pub(crate) struct Shared {
    accounts: Mutex<Accounts>,
    counts: Mutex<Counts>,
    devices: Vec<Mutex<DeviceState>>,
    pub(crate) clock: Clock,
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
    pub(crate) configurations: Configurations,
    pub(crate) injections: Vec<Injection>,
    /// Each stops commands, before or after they are executed.
    pub(crate) holds: Holds<(Pattern, When)>,
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
    pub(crate) fn new(devices: Vec<Device>, accounts: Accounts, time: Time) -> Self {
        let state = |device| {
            Mutex::new(DeviceState {
                device,
                configurations: Configurations::default(),
                injections: Vec::new(),
                holds: Holds::default(),
                commands: Vec::new(),
                connections: 0,
                counts: Counts::default(),
            })
        };
        Self {
            accounts: Mutex::new(accounts),
            counts: Mutex::default(),
            devices: devices.into_iter().map(state).collect(),
            clock: Clock::new(time),
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

    /// The state of a device at this time.
    pub(crate) fn device_now(&self, index: usize) -> MutexGuard<'_, DeviceState> {
        let mut state = self.device(index);
        state.configurations.pass_time(self.clock.now());
        state
    }

    /// Restarts a device with its startup configuration.
    pub(crate) fn restart(&self, index: usize) {
        let mut state = self.device_now(index);
        let state = &mut *state;
        state.configurations.restart(&state.device, self.clock.now());
    }

    /// Executes configuration commands on a device, as somebody at its console.
    pub(crate) fn configure(&self, index: usize, commands: &[&str]) -> Result<(), Problem> {
        let mut state = self.device_now(index);
        let state = &mut *state;
        let author = Author {
            user: "console",
            now: self.clock.now(),
        };
        let mut editor = Editor::new(commands.iter().any(|line| line.starts_with(' ')));
        for command in configuration::Command::each(commands) {
            state
                .configurations
                .configure(&state.device, &mut editor, command, author)?;
        }
        Ok(())
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
