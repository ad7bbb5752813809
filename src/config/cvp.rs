use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lockstep_cvp::gate::{ChangeControlPolicy, Policy, TaskDiffPolicy};
use lockstep_cvp::{ComplianceCode, Credentials, Node};
use reqwest::Url;

use super::problem::Origin;
use super::reader::Reader;

/// The cluster that the environment names: `CVP_HOSTNAME` and those beside it.
pub(crate) const ENVIRONMENT: &str = "environment";

/// The variables that name a cluster, and the keys they stand for.
pub(super) const VARIABLES: [(&str, &str); 6] = [
    ("CVP_HOSTNAME", "hosts"),
    ("CVP_USERNAME", "username"),
    ("CVP_PASSWORD", "password"),
    ("CVP_PASSWORD_FILE", "password_file"),
    ("CVP_TOKEN", "token"),
    ("CVP_TOKEN_FILE", "token_file"),
];

/// What `change_controls` may be.
const CHANGE_CONTROLS: &str = "\"required\" or \"unavailable\"";

/// What `task_diff` may be.
const TASK_DIFF: &str = "\"where-available\", \"required\" or \"unavailable\"";

/// All of `[cvp.NAME]`
pub(crate) type CvpClusters = BTreeMap<String, CvpConfig>;

/// `[cvp.NAME]`: a CloudVision cluster.
#[derive(Clone, Debug)]
pub(crate) struct CvpConfig {
    /// Its nodes, in the order in which they are tried.
    pub(crate) hosts: Vec<Node>,
    /// Who we are there.
    pub(crate) credentials: Credentials,
    /// Whether it is the cloud service; by the name of the first host unless told.
    pub(crate) cloud: bool,
    /// Certificates of its authority; otherwise those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether certificates are not verified.
    pub(crate) insecure: bool,
    /// The proxy to it; otherwise what `HTTPS_PROXY` and `NO_PROXY` say.
    pub(crate) proxy: Option<Url>,
    /// The most requests under way at once.
    pub(crate) concurrency: u16,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    /// What must hold before a task is cancelled.
    pub(crate) policy: Policy,
}

pub(super) fn clusters(reader: &mut Reader) -> CvpClusters {
    let names = reader.sections("cvp", "main");
    let cluster = |name: String| CvpConfig::of(reader, &name).map(|cluster| (name, cluster));
    names.into_iter().filter_map(cluster).collect()
}

impl CvpConfig {
    fn of(reader: &mut Reader, name: &str) -> Option<Self> {
        let key = |key: &str| format!("cvp.{name}.{key}");
        let origin = reader.origin_within(&format!("cvp.{name}"));
        let hosts = reader.list::<Node>(&key("hosts"));
        if hosts.as_ref().is_none_or(Vec::is_empty) {
            reader.problem(
                &key("hosts"),
                origin.as_ref(),
                "is missing; say where the cluster is",
            );
        }
        let credentials = credentials(reader, name, origin.as_ref());
        let hosts = hosts.unwrap_or_default();
        let cloud = hosts.first().is_some_and(Node::is_cloud);
        let policy = policy(reader, name);
        let cluster = Self {
            cloud: reader.flag(&key("cloud"), cloud),
            ca_file: reader.path(&key("ca_file")),
            insecure: reader.flag(&key("insecure"), false),
            proxy: proxy(reader, &key("proxy")),
            concurrency: reader.number(&key("concurrency"), 32, 1..=256),
            timeout: Duration::from_secs(reader.number(&key("timeout_seconds"), 60, 1..=300)),
            policy,
            credentials: credentials?,
            hosts,
        };
        if cluster.insecure && cluster.ca_file.is_some() {
            let reason = "is set beside ca_file; with it, no certificate is verified";
            reader.problem(&key("insecure"), origin.as_ref(), reason);
        }
        if cluster.cloud && matches!(cluster.credentials, Credentials::Password { .. }) {
            let reason = "is missing; the cloud service knows no users and passwords";
            reader.problem(&key("token"), origin.as_ref(), reason);
        }
        Some(cluster)
    }
}

fn credentials(reader: &mut Reader, name: &str, origin: Option<&Origin>) -> Option<Credentials> {
    let key = |key: &str| format!("cvp.{name}.{key}");
    let username = reader.text(&key("username"));
    let password = reader.secret(&key("password"));
    let token = reader.secret(&key("token"));
    match (token, username, password) {
        (Some(token), None, None) => Some(Credentials::Token(token)),
        (Some(_), ..) => {
            let reason = "is set beside username or password; set one of the two";
            reader.problem(&key("token"), origin, reason);
            None
        }
        (None, Some(username), Some(password)) => Some(Credentials::Password { username, password }),
        (None, username, _) => {
            let (missing, reason) = match username {
                None => ("username", "is missing; set username and password, or token"),
                Some(_) => ("password", "is missing; set password or password_file"),
            };
            reader.problem(&key(missing), origin, reason);
            None
        }
    }
}

fn policy(reader: &mut Reader, name: &str) -> Policy {
    let key = |key: &str| format!("cvp.{name}.{key}");
    let usual = Policy::default();
    let codes: Option<Vec<Code>> = reader.list(&key("codes"));
    let codes: Option<BTreeSet<_>> = codes.map(|codes| codes.into_iter().map(|code| code.0).collect());
    let seconds = |duration: Duration| duration.as_secs();
    let change_controls = reader.value(
        &key("change_controls"),
        ChangeControlsWord(usual.change_controls),
        CHANGE_CONTROLS,
    );
    let task_diff = reader.value(&key("task_diff"), TaskDiffWord(usual.task_diff), TASK_DIFF);
    Policy {
        codes: codes.unwrap_or(usual.codes),
        min_age: Duration::from_secs(reader.number(
            &key("min_age_seconds"),
            seconds(usual.min_age),
            0..=604_800,
        )),
        reading_gap: Duration::from_millis(reader.number(&key("reading_gap_ms"), 500, 0..=600_000)),
        change_controls: change_controls.0,
        task_diff: task_diff.0,
    }
}

fn proxy(reader: &mut Reader, key: &str) -> Option<Url> {
    let origin = reader.origin(key);
    let text = reader.text(key)?;
    let url = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        let reason = "is no address of a proxy, must be http://HOST:PORT";
        reader.problem(key, origin.as_ref(), reason);
    }
    url
}

/// A code that may be allowed: one with a meaning.
struct Code(ComplianceCode);

impl FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match ComplianceCode::from(text) {
            ComplianceCode::Other(code) => {
                Err(format!("{code:?} is no compliance code; there are 0000 to 0019"))
            }
            code => Ok(Self(code)),
        }
    }
}

/// `change_controls` in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangeControlsWord(pub(crate) ChangeControlPolicy);

impl FromStr for ChangeControlsWord {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [ChangeControlPolicy::Required, ChangeControlPolicy::Unavailable]
            .into_iter()
            .map(Self)
            .find(|known| known.to_string() == word)
            .ok_or(CHANGE_CONTROLS)
    }
}

impl fmt::Display for ChangeControlsWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ChangeControlPolicy::Required => "required",
            ChangeControlPolicy::Unavailable => "unavailable",
        })
    }
}

/// `task_diff` in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskDiffWord(pub(crate) TaskDiffPolicy);

impl FromStr for TaskDiffWord {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [
            TaskDiffPolicy::Required,
            TaskDiffPolicy::WhereAvailable,
            TaskDiffPolicy::Unavailable,
        ]
        .into_iter()
        .map(Self)
        .find(|known| known.to_string() == word)
        .ok_or(TASK_DIFF)
    }
}

impl fmt::Display for TaskDiffWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            TaskDiffPolicy::Required => "required",
            TaskDiffPolicy::WhereAvailable => "where-available",
            TaskDiffPolicy::Unavailable => "unavailable",
        })
    }
}

/// As it is in effect, with secrets masked.
pub(super) fn shown(cluster: &CvpConfig) -> serde_json::Value {
    let (username, password, token) = match &cluster.credentials {
        Credentials::Password { username, .. } => (Some(username), Some("***"), None),
        Credentials::Token(_) => (None, None, Some("***")),
    };
    let hosts: Vec<String> = cluster.hosts.iter().map(ToString::to_string).collect();
    let policy = &cluster.policy;
    let codes: Vec<&str> = policy.codes.iter().map(ComplianceCode::as_str).collect();
    let proxy = cluster.proxy.clone().map(|mut url| {
        let masked = url.password().is_none() || url.set_password(Some("***")).is_ok();
        if masked { url.to_string() } else { "***".to_owned() }
    });
    let mut shown = serde_json::json!({
        "hosts": hosts,
        "username": username,
        "password": password,
        "token": token,
        "cloud": cluster.cloud,
        "ca_file": cluster.ca_file,
        "insecure": cluster.insecure,
        "proxy": proxy,
        "concurrency": cluster.concurrency,
        "timeout_seconds": cluster.timeout.as_secs(),
        "codes": codes,
        "min_age_seconds": policy.min_age.as_secs(),
        "reading_gap_ms": u64::try_from(policy.reading_gap.as_millis()).unwrap_or(u64::MAX),
        "change_controls": ChangeControlsWord(policy.change_controls).to_string(),
        "task_diff": TaskDiffWord(policy.task_diff).to_string(),
    });
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    shown
}
