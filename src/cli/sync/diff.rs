use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Show how one device differed from its intended configuration
///
/// Secrets are hidden. --whole shows them, for tokens that may read `configurations`. Prints nothing if nothing differed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync diff 2 sw1
  lockstep sync diff 2 sw1 --whole")]
pub(super) struct Diff {
    /// Number or id of the execution
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    host: String,
    /// Show secrets, too
    #[arg(long)]
    whole: bool,
    /// Do not use a pager
    #[arg(long)]
    no_pager: bool,
}

impl Diff {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        if self.whole {
            let whole = client.sync_configuration(&self.execution, &self.host).await?;
            if global.json {
                output::json(&whole);
                return Ok(ExitCode::SUCCESS);
            }
            return self.show(whole.diff.as_deref());
        }
        let device = client.sync_device(&self.execution, &self.host).await?;
        if global.json {
            output::json(&device);
            return Ok(ExitCode::SUCCESS);
        }
        self.show(device.diff.as_deref())
    }

    fn show(&self, diff: Option<&str>) -> anyhow::Result<ExitCode> {
        let (execution, host) = (&self.execution, &self.host);
        let Some(diff) = diff else {
            bail!(
                "execution {execution} has no difference of {host}: it did not come so far, or it is no longer kept"
            );
        };
        if diff.is_empty() {
            output::note(&format!("{host} did not differ"));
        } else {
            output::difference(diff, (!self.no_pager).then_some(""));
        }
        Ok(ExitCode::SUCCESS)
    }
}
