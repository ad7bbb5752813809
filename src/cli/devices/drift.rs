use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::Hostname;
use lockstep_protocol::commands::SyncAction;

use super::contact::{contact, exit_code, said};
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Say whether a device was changed outside of Lockstep since it was synchronized last, and how it differs
///
/// A device that was changed becomes unsynchronized. --accept takes its running configuration as the one that later changes are measured
/// against: the next synchronization overwrites what differs from the intended configuration, and no longer refuses to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices drift sw1
  lockstep devices drift sw1 --accept

Exit codes: 0 it was not changed, or that is accepted; 1 it was changed, or cannot be compared.")]
pub(super) struct Drift {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    host: Hostname,
    /// Accept the running configuration
    #[arg(long)]
    accept: bool,
}

impl Drift {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let action = if self.accept {
            SyncAction::AcceptDrift
        } else {
            SyncAction::Drift
        };
        let detail = match contact(&client, self.host, action, None, global.json).await? {
            Ok(detail) => detail,
            Err(code) => return Ok(code),
        };
        if global.json {
            output::json(&detail);
        } else {
            output::line(&said(&detail));
            if let Some(diff) = detail.data["diff"].as_str().filter(|diff| !diff.is_empty()) {
                output::line("");
                output::difference(diff, None);
            }
        }
        let drifted = !self.accept && detail.data["drifted"] == true;
        Ok(if drifted {
            ExitCode::FAILURE
        } else {
            exit_code(&detail)
        })
    }
}
