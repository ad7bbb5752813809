//! Logs on stderr, as text or JSON.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::config::{LogConfig, LogFormat};

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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
}
