use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::Envelope;
use lockstep_protocol::commands::{ExecutionsResumeRequested, ExecutionsStopRequested};

use super::{Global, request};

/// Stop all executions: nothing begins anywhere until `lockstep resume-all`
///
/// What runs already finishes; to end that, too, cancel its execution. New runs are accepted, and wait.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lockstep stop-all --note 'storm in the core'")]
pub(super) struct StopAll {
    /// Reason, which is shown to everybody who watches an execution
    #[arg(long)]
    note: Option<String>,
}

/// Let executions go on after `lockstep stop-all`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lockstep resume-all")]
pub(super) struct ResumeAll {}

impl StopAll {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = ExecutionsStopRequested { note: self.note };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        request::request(global, &envelope).await
    }
}

impl ResumeAll {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let envelope = Envelope::new(request::source(), SystemClock.now(), ExecutionsResumeRequested {});
        request::request(global, &envelope).await
    }
}
