//! The health check of a container.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::roles;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks an address once; nothing where there is none, since what only runs once answers nobody.
///
/// # Errors
/// It does not answer 200 in time.
pub(super) async fn run(url: &str) -> anyhow::Result<ExitCode> {
    if url.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let answer = roles::http_client()?.get(url).timeout(TIMEOUT).send().await;
    let status = answer.with_context(|| format!("{url} does not answer"))?.status();
    ensure!(status == reqwest::StatusCode::OK, "{url} answered {status}");
    Ok(ExitCode::SUCCESS)
}
