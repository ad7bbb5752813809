use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::Global;

/// Shows the main job from start to end, on simulators
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lockstep demo")]
pub(super) struct Demo {}

impl Demo {
    #[expect(clippy::unused_async, reason = "the demo will run everything in this process")]
    pub(super) async fn run(self, _global: &Global) -> anyhow::Result<ExitCode> {
        bail!(
            "the demo is not part of this version yet; `lockstep up` runs the real thing without any set-up"
        )
    }
}
