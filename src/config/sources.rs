use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lockstep_dcim::{MappingRules, System};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::problem::Origin;
use super::reader::{LateSecret, Reader};

/// Every `[sources.NAME]`, by name.
pub(crate) type SourcesConfig = BTreeMap<String, SourceConfig>;

/// `[sources.NAME]`: an instance of NetBox or Nautobot.
#[derive(Debug)]
pub(crate) struct SourceConfig {
    /// Which of the two it is.
    pub(crate) system: System,
    /// The secrets that sign its webhooks; more than one during a rotation. Only the gateway needs them.
    pub(crate) webhook_secrets: Vec<SecretString>,
    /// The age up to which webhooks are accepted, and from which the poll takes over.
    pub(crate) webhook_max_age: Duration,
    /// How its change log is polled; none if it is not.
    pub(crate) poll: Option<SourcePollConfig>,
    /// How its objects become devices.
    pub(crate) rules: MappingRules,
}

/// How a change log is polled. Only workers need it.
#[derive(Debug)]
pub(crate) struct SourcePollConfig {
    /// The address of the system, without `/api`.
    pub(crate) url: Url,
    /// A token that may view objects and changes. A file is read at the start.
    pub(crate) token: LateSecret,
    /// Certificates of its authority, in PEM. Default: those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The pause between two polls.
    pub(crate) every: Duration,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
}

pub(super) fn sources(reader: &mut Reader) -> SourcesConfig {
    let names = reader.sections("sources", "main");
    let source = |name: String| SourceConfig::of(reader, &name).map(|source| (name, source));
    names.into_iter().filter_map(source).collect()
}

impl SourceConfig {
    fn of(reader: &mut Reader, name: &str) -> Option<Self> {
        let key = |key: &str| format!("sources.{name}.{key}");
        let origin = reader.origin_within(&format!("sources.{name}"));
        let is_set = reader.origin(&key("system")).is_some();
        let system: Option<System> = reader.optional(&key("system"), "\"netbox\" or \"nautobot\"");
        if !is_set {
            let reason = "is missing; set it to \"netbox\" or \"nautobot\"";
            reader.problem(&key("system"), origin.as_ref(), reason);
        }
        let webhook_secrets = webhook_secrets(reader, &key("webhook_secret"), origin.as_ref());
        let bounds = Duration::ZERO..=Duration::from_hours(24);
        let webhook_max_age = reader.duration(&key("webhook_max_age"), Duration::from_mins(5), bounds, "");
        let poll = SourcePollConfig::of(reader, name);
        let rules = rules(reader, name);
        Some(Self {
            system: system?,
            webhook_secrets,
            webhook_max_age,
            poll,
            rules,
        })
    }
}

impl SourcePollConfig {
    fn of(reader: &mut Reader, name: &str) -> Option<Self> {
        let key = |key: &str| format!("sources.{name}.{key}");
        let origin = reader.origin(&key("url"));
        let url = reader.text(&key("url"));
        let token = reader.late_secret(&key("token"));
        let ca_file = reader.path(&key("ca_file"));
        let insecure = reader.flag(&key("allow_token_without_tls"), false);
        let every = Duration::from_secs(1)..=Duration::from_hours(24);
        let every = reader.duration(&key("poll_every"), Duration::from_mins(1), every, "");
        let timeout = Duration::from_secs(1)..=Duration::from_mins(5);
        let timeout = reader.duration(&key("timeout"), Duration::from_secs(30), timeout, "");
        let text = url?;
        let Some(url) = address(&text) else {
            let reason =
                "is not the address of the system, must be https://HOST without user, query and fragment";
            reader.problem(&key("url"), origin.as_ref(), reason);
            return None;
        };
        if url.scheme() == "http" && !insecure {
            let reason = "has no TLS, so that anyone in between could read the token; use https://, or set allow_token_without_tls";
            reader.problem(&key("url"), origin.as_ref(), reason);
        }
        let Some(token) = token else {
            let reason = "is missing; set token_file, token_env or token";
            reader.problem(&key("token"), origin.as_ref(), reason);
            return None;
        };
        Some(Self {
            url,
            token,
            ca_file,
            every,
            timeout,
        })
    }
}

fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && plain).then_some(url)
}

/// One secret on each line: during a rotation the new one and the old one.
fn webhook_secrets(reader: &mut Reader, key: &str, origin: Option<&Origin>) -> Vec<SecretString> {
    let secret = reader.secret(key);
    let lines = secret
        .iter()
        .flat_map(|secret| secret.expose_secret().lines())
        .map(str::trim);
    let secrets: Vec<SecretString> = lines
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect();
    for secret in &secrets {
        reader.require_length(key, origin, secret);
    }
    secrets
}

fn rules(reader: &mut Reader, name: &str) -> MappingRules {
    let key = |key: &str| format!("sources.{name}.{key}");
    let default = MappingRules::of_source(name);
    let states = named(reader, &key("states"), "a state of devices, such as \"MANAGED\"");
    MappingRules {
        source: name.to_owned(),
        device_types: named(reader, &key("device_types"), "a device type, such as \"ACCESS\""),
        default_type: reader.optional(&key("default_type"), "a device type, such as \"ACCESS\""),
        platforms: named(
            reader,
            &key("platforms"),
            "the name of a platform, such as \"eos\"",
        ),
        states: if states.is_empty() { default.states } else { states },
        follow_status: reader.flag(&key("follow_status"), default.follow_status),
        groups: reader.list(&key("groups"), default.groups),
        interface_fields: reader.list(&key("interface_fields"), default.interface_fields),
    }
}

/// The values of a section that names things of the source, by their names in lower case.
fn named<T: FromStr + Display>(reader: &mut Reader, section: &str, allowed: &str) -> BTreeMap<String, T> {
    let mut values = BTreeMap::new();
    for name in reader.named(section, &[]) {
        let value = reader.optional::<T>(&format!("{section}.{name}"), allowed);
        reader.show_named(section, &name, &[]);
        values.extend(value.map(|value| (name.to_lowercase(), value)));
    }
    values
}
