use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::DeviceStateRequested;
use lockstep_protocol::{DeviceState, Envelope, Hostname};

use super::until;
use crate::cli::{Global, request};

/// Set the state of a device, and wait until it is stored
///
/// An UNMANAGED device is left alone. It counts as unsynchronized, because its configuration may be changed by hand: after the change
/// to UNMANAGED its only cause is `was_unmanaged`, until it is MANAGED and synchronized again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices set-state sw1 UNMANAGED --note 'line card on its way' --until 3d
  lockstep devices set-state sw1 UNMANAGED --note 'rebuilt' --until 'tomorrow 18:00'
  lockstep devices set-state sw1 MANAGED")]
pub(super) struct SetState {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
    /// New state, such as MANAGED or UNMANAGED
    state: DeviceState,
    /// Reason for the state, which `lockstep devices show` prints
    #[arg(long)]
    note: Option<String>,
    /// Intended end of the state, such as 4h, 'tomorrow 18:00', friday, 2026-03-01 or 2026-03-01T08:00:00Z, in the local time zone;
    /// a reminder only: the state does not change by itself, `lockstep check unmanaged-age` warns afterwards
    #[arg(long, value_name = "TIME", value_parser = until::parse)]
    until: Option<Timestamp>,
}

impl SetState {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let subject = self.hostname.to_string();
        let request = DeviceStateRequested {
            hostname: self.hostname,
            state: self.state,
            note: self.note,
            until: self.until,
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), request).with_subject(subject);
        request::request(global, &envelope).await
    }
}
