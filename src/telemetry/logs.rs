//! Logs on stderr, as text or JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::config::{LogConfig, LogFormat};
use crate::terminal::LogWriter;

/// Starts logging. `verbose` raises the level of Lockstep's modules above the configured one.
///
/// # Errors
/// If logging was started before.
pub(crate) fn start(config: &LogConfig, verbose: u8) -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let level = match verbose {
        0 => "",
        1 => ",lockstep=debug,lockstep_worker=debug,lockstep_bus=debug",
        _ => ",lockstep=trace,lockstep_worker=trace,lockstep_bus=trace",
    };
    let filter = EnvFilter::new(format!("{}{level}", config.filter));
    let writer = match config.format {
        LogFormat::Text => LogWriter::Text,
        LogFormat::Json => LogWriter::Json,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match config.format {
        LogFormat::Text => builder.with_ansi(LogWriter::has_colors()).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
}
