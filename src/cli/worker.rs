use std::process::ExitCode;

use clap::Args;

use super::Global;
use crate::config::Overrides;
use crate::roles;

/// Process messages; start more workers for more throughput
///
/// Needs a broker and a database that all workers share. Run `lockstep migrate` first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep worker
  lockstep worker --lanes events,commands")]
pub(super) struct Worker {
    /// Lanes to consume, with commas between them [default: all]
    #[arg(long, value_name = "LANES")]
    lanes: Option<String>,
}

impl Worker {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let overrides = Overrides {
            lanes: self.lanes,
            ..Overrides::default()
        };
        roles::worker(&global.role(overrides)?).await?;
        Ok(ExitCode::SUCCESS)
    }
}
