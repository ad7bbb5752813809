use std::sync::Arc;

use lockstep_cvp::sweep::SweepOptions;
use tokio_util::sync::CancellationToken;

use super::run::{self, Swept};
use crate::config::CvpConfig;
use crate::roles;

/// Sweeps a cluster, without asking.
///
/// # Errors
/// When the tasks cannot be listed.
pub(in crate::cli) async fn sweep_once(cluster: &CvpConfig) -> anyhow::Result<Swept> {
    let client = Arc::new(roles::cvp_client(cluster)?);
    let options = SweepOptions {
        dry_run: false,
        ..run::options(cluster, &CancellationToken::new())
    };
    let swept = run::sweep(&client, options, "sweeping").await;
    client.log_out().await;
    swept
}
