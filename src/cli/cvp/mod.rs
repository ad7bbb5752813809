//! Commands for the tasks of CloudVision. They need neither broker nor database, but for the one that asks the workers.

mod cluster;
mod progress;
mod request_sweep;
mod run;
mod sweep;
mod tasks;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;
use crate::config::CvpConfig;

#[cfg(feature = "simulators")]
pub(super) use run::sweep_once;

/// Find and cancel empty tasks of Arista `CloudVision`: pending tasks that have nothing left to do
///
/// Set the cluster in the environment (`CVP_HOSTNAME`, a list with commas; `CVP_USERNAME` and `CVP_PASSWORD`, or `CVP_TOKEN`), or in
/// a section [cvp.NAME] of the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  export CVP_HOSTNAME=cvp1.example.org,cvp2.example.org \\
      CVP_USERNAME=lockstep CVP_PASSWORD_FILE=cvp-password
  lockstep cvp tasks --ca-file cvp-ca.pem
  lockstep cvp sweep --dry-run --ca-file cvp-ca.pem
  lockstep cvp sweep --ca-file cvp-ca.pem
  lockstep cvp request-sweep --cluster oslo --wait")]
pub(super) struct Cvp {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Tasks(tasks::Tasks),
    Sweep(sweep::Sweep),
    RequestSweep(request_sweep::RequestSweep),
}

/// The configured cluster with this name; without a name, that of `CVP_HOSTNAME`, else the only one.
pub(super) fn configured(global: &Global, name: Option<String>) -> anyhow::Result<CvpConfig> {
    cluster::Cluster::named(name).configuration(global)
}

impl Cvp {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Tasks(command) => command.run(global).await,
            What::Sweep(command) => command.run(global).await,
            What::RequestSweep(command) => command.run(global).await,
        }
    }
}
