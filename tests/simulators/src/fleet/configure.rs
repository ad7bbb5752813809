//! How tests and experiments see and change the configurations of devices while the simulator runs.

use std::sync::Arc;
use std::time::Duration;

use super::configuration::Pattern;
use super::show;
use super::{
    FleetSimulator, ForeignSession, Hold, Injection, Knobs, OpenSession, Problem, Recorded, StartError,
    Totals, When,
};

/// # Panics
/// All methods with the number of a device panic if there is no such device.
impl FleetSimulator {
    /// The running configuration of a device, as `show running-config` prints it.
    pub fn running_configuration(&self, device: usize) -> String {
        let state = self.shared.device_now(device);
        let hostname = state.configurations.hostname();
        let hostname = hostname.as_deref().unwrap_or(&state.device.hostname);
        let running = state.configurations.running(&state.device);
        show::configuration(&state.device, hostname, "running-config", &running).text
    }

    /// The configuration with which a device would start again, without the first lines and the last one.
    pub fn startup_configuration(&self, device: usize) -> Arc<str> {
        let state = self.shared.device_now(device);
        state.configurations.startup(&state.device)
    }

    /// Gives a device another running and startup configuration, such as one that was rendered. It is not recorded.
    pub fn set_configuration(&self, device: usize, text: &str) {
        let mut state = self.shared.device_now(device);
        let state = &mut *state;
        state.configurations.set(&state.device, text);
    }

    /// Changes the running configuration of a device by commands, as somebody at its console.
    ///
    /// # Errors
    /// The device refuses a command.
    pub fn change_by_hand(&self, device: usize, commands: &[&str]) -> Result<(), Problem> {
        self.shared.configure(device, commands)
    }

    /// Opens a session of somebody else.
    ///
    /// # Errors
    /// The device refuses the session, or one of its commands.
    pub fn open_session(&self, device: usize, session: &ForeignSession) -> Result<(), Problem> {
        let mut state = self.shared.device_now(device);
        let state = &mut *state;
        state
            .configurations
            .open_foreign(&state.device, session, self.shared.clock.now())
    }

    /// The sessions of a device that have not ended, by name.
    pub fn sessions(&self, device: usize) -> Vec<OpenSession> {
        let state = self.shared.device_now(device);
        state.configurations.open_sessions(self.shared.clock.now())
    }

    /// Changes how a device treats its configuration.
    pub fn tune(&self, device: usize, tune: impl FnOnce(&mut Knobs)) {
        tune(&mut self.shared.device(device).configurations.knobs);
    }

    /// Adds a fault of a device.
    pub fn inject(&self, device: usize, injection: Injection) {
        self.shared.device(device).injections.push(injection);
    }

    /// Removes all faults of a device that were injected.
    pub fn clear_injections(&self, device: usize) {
        self.shared.device(device).injections.clear();
    }

    /// Stops each command with these words, before it is executed or afterwards, until it is released. See [`Injection::before`].
    pub fn hold(&self, device: usize, command: &str, when: When) -> Hold {
        self.shared
            .device(device)
            .holds
            .add((Pattern::new(command), when))
    }

    /// Moves the clock of all devices forward.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Restarts a device: its connections are closed, its sessions are gone, and its startup configuration is running.
    ///
    /// # Errors
    /// Its address is in use meanwhile.
    pub async fn restart(&self, device: usize) -> Result<(), StartError> {
        self.take_down(device).await;
        self.shared.restart(device);
        self.bring_up(device).await
    }

    /// The last 256 changes of the configurations of a device, oldest first.
    pub fn changes(&self, device: usize) -> Vec<Recorded> {
        self.shared
            .device_now(device)
            .configurations
            .record
            .changes
            .clone()
    }

    /// The number of commits, confirmations, rollbacks and aborted sessions of a device.
    pub fn totals(&self, device: usize) -> Totals {
        self.shared.device_now(device).configurations.record.totals
    }
}
