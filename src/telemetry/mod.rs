//! Telemetry of the process: logs on stderr, metrics for scrapers, traces to a collector.

mod collector;
mod levels;
mod logs;
mod span_queue;
mod traces;

use lockstep_telemetry::Exposition;

pub(crate) use levels::shown_level;
pub(crate) use logs::start as logs;

use crate::config::Config;

/// Builds the HTTP client for the collector.
pub(crate) type HttpClientBuilder = fn() -> anyhow::Result<reqwest::Client>;

/// Starts logs, metrics and traces. `verbose` raises the log level of Lockstep's modules above the configured one; `client` builds
/// the HTTP client for the collector, and is called only where one is configured.
///
/// # Errors
/// If logging was started before, or the exporter of traces cannot be built.
pub(crate) fn start(config: &Config, verbose: u8, client: HttpClientBuilder) -> anyhow::Result<()> {
    logs(&config.log, verbose)?;
    metrics();
    traces::start(&config.telemetry, client)
}

/// The metrics of this process.
pub(crate) fn metrics() -> Exposition {
    Exposition::begin(env!("CARGO_PKG_VERSION"))
}

/// Exports the remaining spans, for a few seconds at most.
pub(crate) async fn end() {
    traces::end().await;
}
