//! Logs on stderr, as text or JSON.

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, registry};

use super::levels;
use crate::config::{LogConfig, LogFormat};
use crate::terminal::LogWriter;

/// Starts logging. `verbose` raises the level of Lockstep's crates above the configured one.
///
/// # Errors
/// If logging was started before.
pub(crate) fn start(config: &LogConfig, verbose: u8) -> Result<(), TryInitError> {
    let filter = levels::raised(config.filter.clone(), verbose);
    let most = Layer::<Registry>::max_level_hint(&filter);
    let is_logged = filter_fn(move |event| levels::is_logged(&filter, event.target(), *event.level()));
    let is_logged = match most {
        Some(most) => is_logged.with_max_level_hint(most),
        None => is_logged,
    };
    let lines = fmt::layer();
    match config.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(LogWriter::has_colors());
            let lines = lines.with_writer(LogWriter::TEXT);
            registry().with(is_logged).with(lines).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_writer(LogWriter::JSON);
            registry().with(is_logged).with(lines).try_init()
        }
    }
}
