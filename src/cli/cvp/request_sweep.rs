use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::Envelope;
use lockstep_protocol::commands::CvpSweepRequested;

use crate::cli::client::Client;
use crate::cli::executions::follow::Follow;
use crate::cli::{Global, request};

/// Ask the workers for a sweep: as a dry run, unless --apply says otherwise
///
/// It is an execution on the workers that have the cluster in their configuration, one at a time for each cluster. If another request for the
/// same sweep waits for its turn, that one does it. On a terminal the command then watches the execution: Ctrl-C ends only the watching.
/// The exit code is 0 if it was accepted, and where the command waits for the end, only if the execution ended as SUCCESSFUL.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep cvp request-sweep --cluster oslo --wait
  lockstep cvp request-sweep --cluster oslo --apply --wait
  lockstep cvp request-sweep --cluster oslo --apply --device leaf1 leaf2
  lockstep cvp request-sweep --cluster oslo --task 1811 --json")]
pub(super) struct RequestSweep {
    /// Name of the cluster in the configuration of the workers
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// Cancel; without it, the workers report what they would cancel
    #[arg(long)]
    apply: bool,
    /// Only tasks of these devices, by hostname, serial number or MAC address
    #[arg(long = "device", num_args = 1.., value_name = "DEVICE")]
    devices: Vec<String>,
    /// Only these tasks
    #[arg(long = "task", num_args = 1.., value_name = "ID")]
    tasks: Vec<String>,
    #[command(flatten)]
    follow: Follow,
}

impl RequestSweep {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let command = CvpSweepRequested {
            cluster: self.cluster,
            dry_run: !self.apply,
            devices: self.devices,
            tasks: self.tasks,
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        let view = request::ask(&client, &envelope).await?;
        self.follow.accepted(&client, &view, global.json).await
    }
}
