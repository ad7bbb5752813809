//! The configuration: read once, from `lockstep.toml`, then the environment, then flags. All problems are reported together.

mod address;
mod problem;
mod reader;
mod show;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockstep_protocol::topology::Lane;
use lockstep_worker::console::TypePattern;
use secrecy::{ExposeSecret, SecretString};

pub(crate) use address::{BrokerUrl, StoreUrl};
pub(crate) use problem::ConfigProblems;
use reader::Reader;
use source::Settings;

/// Everything that can be configured.
#[derive(Debug)]
pub(crate) struct Config {
    /// What embedded mode keeps, and what `lockstep up` leaves for clients on the same machine.
    pub(crate) data_dir: PathBuf,
    pub(crate) broker: BrokerConfig,
    pub(crate) store: StoreConfig,
    pub(crate) console: ConsoleConfig,
    pub(crate) worker: WorkerConfig,
    pub(crate) log: LogConfig,
}

/// `[broker]`
#[derive(Debug)]
pub(crate) struct BrokerConfig {
    pub(crate) url: BrokerUrl,
    /// Certificates of the broker's authority, in PEM; otherwise those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether exchanges and queues are declared at start.
    pub(crate) declare: bool,
    /// Broker users whose messages may name an `actor`, besides our own: consoles with a user of their own.
    pub(crate) trusted_users: Vec<String>,
}

/// `[store]`
#[derive(Debug)]
pub(crate) struct StoreConfig {
    pub(crate) url: StoreUrl,
    /// Certificates of the database's authority, in PEM; otherwise those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The most sessions at once.
    pub(crate) pool_size: u16,
}

/// `[console]`
#[derive(Debug)]
pub(crate) struct ConsoleConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tokens: Vec<TokenConfig>,
}

/// One of `[[console.tokens]]`
#[derive(Debug)]
pub(crate) struct TokenConfig {
    /// Who it stands for: the `actor` of what is published with it.
    pub(crate) name: String,
    pub(crate) token: SecretString,
    /// What may be published with it; without any, it can only read.
    pub(crate) types: Vec<TypePattern>,
}

/// `[worker]`
#[derive(Debug)]
pub(crate) struct WorkerConfig {
    pub(crate) lanes: Vec<Lane>,
    /// The most messages taken and not acknowledged, per lane.
    pub(crate) prefetch: u16,
    /// The most messages in one transaction.
    pub(crate) batch_size: u16,
    /// How long a batch waits for more messages.
    pub(crate) batch_linger: Duration,
    /// How long work under way may go on after the process was told to stop.
    pub(crate) grace: Duration,
}

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

/// What flags say about the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) listen: Option<String>,
    pub(crate) lanes: Option<String>,
}

impl Config {
    /// Reads the configuration of this process.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigProblems> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::read(source::file(file).as_deref(), &variables, overrides)
    }

    /// The defaults with everything embedded in this folder, whatever is configured elsewhere.
    ///
    /// # Errors
    /// None that a folder could cause.
    pub(crate) fn embedded(data_dir: &Path) -> Result<Self, ConfigProblems> {
        let overrides = Overrides {
            data_dir: Some(data_dir.to_owned()),
            listen: Some("127.0.0.1:0".to_owned()),
            ..Overrides::default()
        };
        Self::read(None, &BTreeMap::new(), overrides)
    }

    fn read(
        file: Option<&Path>,
        variables: &BTreeMap<String, String>,
        overrides: Overrides,
    ) -> Result<Self, ConfigProblems> {
        let mut settings = Settings::default();
        if let Some(file) = file {
            settings.add_file(file);
        }
        settings.add_environment(variables);
        let data_dir = overrides.data_dir.map(|path| path.to_string_lossy().into_owned());
        let flags = [
            ("--data", "data_dir", data_dir),
            ("--listen", "console.listen", overrides.listen),
            ("--lanes", "worker.lanes", overrides.lanes),
        ];
        for (flag, key, value) in flags {
            if let Some(value) = value {
                settings.add_flag(flag, key, value);
            }
        }
        let mut reader = Reader::new(settings);
        let config = Self::of(&mut reader);
        reader.finish()?;
        Ok(config)
    }

    fn of(reader: &mut Reader) -> Self {
        let data_dir = reader
            .path("data_dir")
            .unwrap_or_else(|| PathBuf::from("lockstep-data"));
        Self {
            broker: BrokerConfig::of(reader),
            store: StoreConfig::of(reader, &data_dir),
            console: ConsoleConfig::of(reader),
            worker: WorkerConfig::of(reader),
            log: LogConfig::of(reader),
            data_dir,
        }
    }
}

impl BrokerConfig {
    fn of(reader: &mut Reader) -> Self {
        Self {
            url: address::read(reader, "broker.url", BrokerUrl::Embedded),
            ca_file: reader.path("broker.ca_file"),
            declare: reader.flag("broker.declare", true),
            trusted_users: reader.list("broker.trusted_users").unwrap_or_default(),
        }
    }
}

impl StoreConfig {
    fn of(reader: &mut Reader, data_dir: &Path) -> Self {
        let usual = StoreUrl::Sqlite(data_dir.join("store.sqlite"));
        Self {
            url: address::read(reader, "store.url", usual),
            ca_file: reader.path("store.ca_file"),
            pool_size: reader.number("store.pool_size", 16, 1..=1000),
        }
    }
}

impl ConsoleConfig {
    fn of(reader: &mut Reader) -> Self {
        let usual = SocketAddr::from(([127, 0, 0, 1], 8910));
        let listen = reader.value(
            "console.listen",
            usual,
            "an address and a port, such as 127.0.0.1:8910",
        );
        let count = reader.count("console.tokens");
        let mut names = BTreeSet::new();
        let tokens: Vec<TokenConfig> = (0..count)
            .filter_map(|index| TokenConfig::of(reader, index, &mut names))
            .collect();
        let secrets: BTreeSet<&str> = tokens.iter().map(|token| token.token.expose_secret()).collect();
        if secrets.len() < tokens.len() {
            reader.problem(
                "console.tokens",
                None,
                "two of them have the same token; each needs its own",
            );
        }
        Self { listen, tokens }
    }
}

impl TokenConfig {
    fn of(reader: &mut Reader, index: usize, names: &mut BTreeSet<String>) -> Option<Self> {
        let key = |name: &str| format!("console.tokens[{index}].{name}");
        let before = reader
            .origin(&key("name"))
            .or_else(|| reader.origin(&key("types")));
        let name = reader.text(&key("name"));
        let token = reader.secret(&key("token"));
        let types = reader.list(&key("types")).unwrap_or_default();
        if token.is_none() {
            reader.problem(
                &key("token"),
                before.as_ref(),
                "is missing; set token or token_file",
            );
        }
        match &name {
            None => reader.problem(
                &key("name"),
                before.as_ref(),
                "is missing; it becomes the actor of what is published",
            ),
            Some(name) if !name_fits(name) => {
                let reason = "must be 1 to 64 letters, digits, dots, hyphens, underscores or @";
                reader.problem(&key("name"), before.as_ref(), reason);
            }
            Some(name) if !names.insert(name.clone()) => {
                reader.problem(
                    &key("name"),
                    before.as_ref(),
                    format!("{name:?} is the name of another token"),
                );
            }
            Some(_) => {}
        }
        Some(Self {
            name: name?,
            token: token?,
            types,
        })
    }
}

fn name_fits(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

impl WorkerConfig {
    fn of(reader: &mut Reader) -> Self {
        let lanes = reader
            .list("worker.lanes")
            .filter(|lanes: &Vec<Lane>| !lanes.is_empty());
        Self {
            lanes: lanes.unwrap_or_else(|| Lane::ALL.to_vec()),
            prefetch: reader.number("worker.prefetch", 2000, 1..=u16::MAX),
            batch_size: reader.number("worker.batch_size", 500, 1..=5000),
            batch_linger: Duration::from_millis(reader.number("worker.batch_linger_ms", 2, 0..=1000)),
            // The broker takes back what is not acknowledged after 30 minutes; all work fits in 20.
            grace: Duration::from_secs(reader.number("worker.grace_seconds", 30, 1..=1200)),
        }
    }
}

impl LogConfig {
    fn of(reader: &mut Reader) -> Self {
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
