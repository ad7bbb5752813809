use super::reader::Reader;

/// `[log]`
#[derive(Debug)]
pub(crate) struct LogConfig {
    /// What is logged, in the words of `tracing_subscriber::EnvFilter`.
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

impl LogConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let filter = reader.text("log.filter").unwrap_or_else(|| "info".to_owned());
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
            let reason =
                format!("is {filter:?}, must be a filter such as \"info,lockstep_worker=debug\": {error}");
            reader.problem("log.filter", None, reason);
        }
        Self {
            filter,
            format: reader.value("log.format", LogFormat::Text, "\"text\" or \"json\""),
        }
    }
}
