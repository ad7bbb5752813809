//! The sections with fixed names. Each key is read in one place, with its bounds and its default; `lockstep config check`
//! shows what was read.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lockstep_api::AccessOptions;
use lockstep_protocol::SourcePattern;
use lockstep_protocol::topology::Lane;
use lockstep_worker::retention::Keep;
use reqwest::Url;
use tracing_subscriber::filter::Targets;

use super::address::{self, BrokerUrl, StoreUrl};
use super::oidc::OidcConfig;
use super::reader::Reader;
use super::token::TokenConfig;

/// `[broker]`
#[derive(Debug)]
pub(crate) struct BrokerConfig {
    /// Where the broker is.
    pub(crate) url: BrokerUrl,
    /// Certificates of the broker's authority, in PEM. Default: those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether the process declares exchanges and queues at start.
    pub(crate) declare: bool,
    /// Broker users whose messages may name an `actor`, besides the user in `url`: consoles and gateways with their own users.
    pub(crate) trusted_users: Vec<String>,
    /// The sources that belong to broker users and tokens.
    pub(crate) sources: Vec<SourcesConfig>,
    /// Which broker users and tokens are the same person.
    pub(crate) persons: Vec<PersonConfig>,
}

/// One of `[[broker.persons]]`
#[derive(Debug)]
pub(crate) struct PersonConfig {
    /// The name of the person.
    pub(crate) person: String,
    /// The names of broker users, and of tokens of consoles and gateways, that are this person.
    pub(crate) names: Vec<String>,
}

/// One of `[[broker.sources]]`
#[derive(Debug)]
pub(crate) struct SourcesConfig {
    /// The name of a broker user, or of a token of a console or a gateway.
    pub(crate) name: String,
    /// The sources that belong to it.
    pub(crate) sources: Vec<SourcePattern>,
}

impl BrokerConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        Self {
            url: address::read(reader, "broker.url", BrokerUrl::Embedded),
            ca_file: reader.path("broker.ca_file"),
            declare: reader.flag("broker.declare", true),
            trusted_users: reader.list("broker.trusted_users", Vec::new()),
            sources: (0..reader.count("broker.sources"))
                .filter_map(|index| SourcesConfig::of(reader, &format!("broker.sources[{index}]")))
                .collect(),
            persons: PersonConfig::list(reader),
        }
    }
}

impl PersonConfig {
    /// A name is at most one person.
    fn list(reader: &mut Reader) -> Vec<Self> {
        let mut known = BTreeSet::new();
        (0..reader.count("broker.persons"))
            .filter_map(|index| Self::of(reader, &format!("broker.persons[{index}]"), &mut known))
            .collect()
    }

    fn of(reader: &mut Reader, place: &str, known: &mut BTreeSet<String>) -> Option<Self> {
        let (person, names) = (format!("{place}.person"), format!("{place}.names"));
        let origin = reader.origin(&person).or_else(|| reader.origin(&names));
        let names_origin = reader.origin(&names);
        let found = reader.text(&person);
        let its_names: Vec<String> = reader.list(&names, Vec::new());
        if found.is_none() {
            reader.problem(&person, origin.as_ref(), "is missing; set the name of the person");
        }
        if its_names.is_empty() {
            reader.problem(
                &names,
                origin.as_ref(),
                "is missing; set the names of broker users and tokens that are this person",
            );
        }
        for name in &its_names {
            if !known.insert(name.clone()) {
                reader.problem(
                    &names,
                    names_origin.as_ref(),
                    format!("{name:?} is already the name of a person; a name is of one person"),
                );
            }
        }
        Some(Self {
            person: found?,
            names: its_names,
        })
    }
}

impl SourcesConfig {
    fn of(reader: &mut Reader, place: &str) -> Option<Self> {
        let (name, sources) = (format!("{place}.name"), format!("{place}.sources"));
        let origin = reader.origin(&name).or_else(|| reader.origin(&sources));
        let owner = reader.text(&name);
        let patterns = reader.list(&sources, Vec::new());
        if owner.is_none() {
            reader.problem(
                &name,
                origin.as_ref(),
                "is missing; set the name of a broker user or of a token",
            );
        }
        if patterns.is_empty() {
            reader.problem(
                &sources,
                origin.as_ref(),
                "is missing; set the sources that belong to it",
            );
        }
        Some(Self {
            name: owner?,
            sources: patterns,
        })
    }
}

/// `[store]`
#[derive(Debug)]
pub(crate) struct StoreConfig {
    /// Where the store is. Default: `store.sqlite` in the data folder.
    pub(crate) url: StoreUrl,
    /// Certificates of the database's authority, in PEM. Default: those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The most database sessions at once.
    pub(crate) pool_size: u16,
}

impl StoreConfig {
    pub(super) fn of(reader: &mut Reader, data_dir: &Path) -> Self {
        let default = StoreUrl::Sqlite(data_dir.join("store.sqlite"));
        Self {
            url: address::read(reader, "store.url", default),
            ca_file: reader.path("store.ca_file"),
            pool_size: reader.number("store.pool_size", 16, 1..=1000),
        }
    }
}

/// `[console]`
#[derive(Debug)]
pub(crate) struct ConsoleConfig {
    /// Where the HTTP API listens.
    pub(crate) listen: SocketAddr,
    /// The tokens it accepts. Without any, it refuses every request.
    pub(crate) tokens: Vec<TokenConfig>,
    /// How it checks what people do.
    pub(crate) access: AccessOptions,
    /// The identity provider, if people log in at one.
    pub(crate) oidc: Option<OidcConfig>,
}

impl ConsoleConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let default = SocketAddr::from(([127, 0, 0, 1], 8910));
        Self {
            listen: reader.value(
                "console.listen",
                default,
                "an address and a port, such as 127.0.0.1:8910",
            ),
            tokens: TokenConfig::list(reader, "console.tokens", true),
            access: access(reader),
            oidc: OidcConfig::of(reader),
        }
    }
}

fn access(reader: &mut Reader) -> AccessOptions {
    const MINUTE: Duration = Duration::from_mins(1);
    const LONGEST: Duration = Duration::from_hours(24 * 31);
    let default = AccessOptions::default();
    let mut duration = |key: &str, default| reader.duration(key, default, MINUTE..=LONGEST, "");
    AccessOptions {
        longest_session: duration("console.session", default.longest_session),
        idle_session: duration("console.idle_session", default.idle_session),
        requires_reasons: reader.flag("console.require_reasons", default.requires_reasons),
    }
}

/// `[worker]`
#[derive(Debug)]
pub(crate) struct WorkerConfig {
    /// Where health and metrics are served. Without it, nowhere.
    pub(crate) listen: Option<SocketAddr>,
    /// The lanes to consume.
    pub(crate) lanes: Vec<Lane>,
    /// The most unacknowledged messages, for each lane.
    pub(crate) prefetch: u16,
    /// The most messages in one transaction.
    pub(crate) batch_size: u16,
    /// The most elements of executions that this worker runs at once.
    pub(crate) elements_at_once: u16,
    /// How long work in flight may continue after the process was asked to stop.
    pub(crate) grace: Duration,
}

impl WorkerConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        reader.removed(
            "worker.batch_linger_ms",
            "batches no longer wait for more messages",
        );
        let mut lanes = reader.list("worker.lanes", Lane::ALL.to_vec());
        if lanes.is_empty() {
            lanes = Lane::ALL.to_vec();
        }
        Self {
            listen: reader.optional("worker.listen", "an address and a port, such as 127.0.0.1:8912"),
            lanes,
            prefetch: reader.number("worker.prefetch", 2000, 1..=u16::MAX),
            batch_size: reader.number("worker.batch_size", 500, 1..=5000),
            elements_at_once: reader.number("worker.elements_at_once", 256, 1..=10_000),
            // The broker takes back what is not acknowledged after 30 minutes; the longest work takes 20.
            grace: Duration::from_secs(reader.number("worker.grace_seconds", 30, 1..=1200)),
        }
    }
}

/// `[reconcile]`
#[derive(Debug)]
pub(crate) struct ReconcileConfig {
    /// How long to wait between two runs.
    pub(crate) every: Duration,
}

impl ReconcileConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let bounds = Duration::from_secs(1)..=Duration::from_hours(1);
        Self {
            every: reader.duration("reconcile.every", Duration::from_mins(1), bounds, ""),
        }
    }
}

/// `[retention]`
#[derive(Debug)]
pub(crate) struct RetentionConfig {
    /// How long to wait between two runs.
    pub(crate) every: Duration,
    /// How long each kind of row is kept.
    pub(crate) keep: Keep,
}

impl RetentionConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        const DAY: Duration = Duration::from_hours(24);
        const LONGEST: Duration = Duration::from_hours(24 * 3650);
        let every = Duration::from_secs(1)..=7 * DAY;
        let inbox = Keep::LEAST_INBOX..=LONGEST;
        let why = ": a message may wait in a queue for days, and a message that is redelivered after its row was deleted is processed again";
        Self {
            every: reader.duration("retention.every", Duration::from_hours(1), every, ""),
            keep: Keep {
                inbox: reader.duration("retention.inbox", 30 * DAY, inbox, why),
                causes: reader.duration("retention.causes", 30 * DAY, DAY..=LONGEST, ""),
                dead_letters: reader.duration("retention.dead_letters", 90 * DAY, DAY..=LONGEST, ""),
                executions: reader.duration("retention.executions", 90 * DAY, DAY..=LONGEST, ""),
                sync_texts: reader.duration("retention.sync_texts", 30 * DAY, DAY..=LONGEST, ""),
                audit: reader.duration("retention.audit", 400 * DAY, DAY..=LONGEST, ""),
            },
        }
    }
}

/// `[log]`
#[derive(Debug)]
pub(crate) struct LogConfig {
    /// Levels by target, such as `info,lockstep_worker=debug`.
    pub(crate) filter: Targets,
    /// Text or JSON.
    pub(crate) format: LogFormat,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl LogConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let origin = reader.origin("log.filter");
        let text = reader.text_or("log.filter", "info");
        let filter = text.parse().unwrap_or_else(|error| {
            let reason =
                format!("is {text:?}, must be a filter such as \"info,lockstep_worker=debug\": {error}");
            reader.problem("log.filter", origin.as_ref(), reason);
            Targets::default()
        });
        Self {
            filter,
            format: reader.value("log.format", LogFormat::Text, "\"text\" or \"json\""),
        }
    }
}

/// `[telemetry]`
#[derive(Debug)]
pub(crate) struct TelemetryConfig {
    /// The collector of traces, by OTLP over HTTP. Without it, no traces are recorded.
    pub(crate) otlp_endpoint: Option<Url>,
    /// The name of this process in traces.
    pub(crate) service_name: String,
    /// The share of traces that is recorded, among those that begin in this process.
    pub(crate) sample_ratio: f64,
}

/// The variables of OpenTelemetry, and the keys they set.
pub(super) const OPENTELEMETRY_VARIABLES: [(&str, &str); 2] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
];

impl TelemetryConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        Self {
            otlp_endpoint: endpoint(reader),
            service_name: reader.text_or("telemetry.service_name", "lockstep"),
            sample_ratio: reader.ratio("telemetry.sample_ratio", 1.0),
        }
    }
}

/// Addresses are shown in logs, so one with a password is refused; collectors that need one take it from a header.
fn endpoint(reader: &mut Reader) -> Option<Url> {
    const KEY: &str = "telemetry.otlp_endpoint";
    let origin = reader.origin(KEY);
    let text = reader.text(KEY)?;
    let url = Url::parse(&text).ok().filter(|url| {
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && plain
    });
    if url.is_none() {
        let reason = "must be http://HOST:PORT or https://HOST:PORT of an OTLP collector, without user and password \
                      (set headers with OTEL_EXPORTER_OTLP_HEADERS)";
        reader.problem(KEY, origin.as_ref(), reason);
    }
    url
}
