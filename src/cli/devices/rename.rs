use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::DeviceRenameRequested;
use lockstep_protocol::{Envelope, Hostname};

use crate::cli::{Global, request};

/// Give a device another hostname, and wait until it is stored
///
/// The device keeps its interfaces, links, groups, causes and history. It becomes unsynchronized, and so do its neighbours by links and
/// the devices whose interfaces name it as their neighbour, because their configuration contains the hostname. Events with the former
/// hostname still reach the device. The name of another device is refused; another spelling of its own name is not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices rename sw1 sw-b12-1
  lockstep devices rename sw1 SW1 --note 'as on the label'")]
pub(super) struct Rename {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
    /// New hostname
    #[arg(value_name = "NEW")]
    new_hostname: Hostname,
    /// Reason, which is shown with the causes of the devices that become unsynchronized
    #[arg(long)]
    note: Option<String>,
}

impl Rename {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let subject = self.hostname.to_string();
        let command = DeviceRenameRequested {
            hostname: self.hostname,
            new_hostname: self.new_hostname,
            note: self.note,
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command).with_subject(subject);
        request::request(global, &envelope).await
    }
}
