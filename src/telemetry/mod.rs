//! What a process tells about itself: logs on stderr, metrics for whoever scrapes, traces to a collector.

mod collector;
mod logs;
mod outbox;
mod traces;

use lockstep_telemetry::Exposition;

pub(crate) use logs::start as logs;

use crate::config::Config;

/// Starts all of it; `verbose` raises the level of our own modules over what is configured.
///
/// # Errors
/// When logging was started before, or the exporter of traces cannot be.
pub(crate) fn start(config: &Config, verbose: u8) -> anyhow::Result<()> {
    logs(&config.log, verbose)?;
    metrics();
    traces::start(&config.telemetry)
}

/// What this process counts.
pub(crate) fn metrics() -> Exposition {
    Exposition::begin(env!("CARGO_PKG_VERSION"))
}

/// Exports what is left, for a few seconds at most.
pub(crate) async fn end() {
    traces::end().await;
}
