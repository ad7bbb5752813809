use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lockstep_cvp::gate::{ChangeControlPolicy, Policy, TaskDiffPolicy};
use lockstep_cvp::{ComplianceCode, Credentials, Node};
use lockstep_protocol::SecretUrl;
use reqwest::Url;

use super::problem::Origin;
use super::reader::Reader;

/// The name of the cluster that `CVP_HOSTNAME` and the variables beside it configure.
pub(crate) const ENVIRONMENT: &str = "environment";

/// The variables that configure a cluster, and the keys they set.
pub(super) const VARIABLES: [(&str, &str); 6] = [
    ("CVP_HOSTNAME", "hosts"),
    ("CVP_USERNAME", "username"),
    ("CVP_PASSWORD", "password"),
    ("CVP_PASSWORD_FILE", "password_file"),
    ("CVP_TOKEN", "token"),
    ("CVP_TOKEN_FILE", "token_file"),
];

/// The allowed values of `change_controls`.
const CHANGE_CONTROLS: &str = "\"required\" or \"unavailable\"";

/// The allowed values of `task_diff`.
const TASK_DIFF: &str = "\"where-available\", \"required\" or \"unavailable\"";

/// Every `[cvp.NAME]`, by name.
pub(crate) type CvpClusters = BTreeMap<String, CvpConfig>;

/// `[cvp.NAME]`: a CloudVision cluster.
#[derive(Clone, Debug)]
pub(crate) struct CvpConfig {
    /// The nodes, in the order in which they are tried.
    pub(crate) hosts: Vec<Node>,
    /// User and password, or a token.
    pub(crate) credentials: Credentials,
    /// Whether it is the cloud service. Default: whether the first host is under arista.io.
    pub(crate) cloud: bool,
    /// Certificates of its authority, in PEM. Default: those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// True switches the verification of certificates off.
    pub(crate) insecure: bool,
    /// The proxy. Default: that of `HTTPS_PROXY` and `NO_PROXY`.
    pub(crate) proxy: Option<SecretUrl>,
    /// The most requests in flight.
    pub(crate) concurrency: u16,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    /// The conditions for cancelling a task.
    pub(crate) policy: Policy,
    /// Whether workers sweep the tasks of a device when it becomes synchronized.
    pub(crate) sweep_when_synchronized: bool,
}

pub(super) fn clusters(reader: &mut Reader) -> CvpClusters {
    let names = reader.sections("cvp", "main");
    if let Some((key, origin)) = reader.in_file(&format!("cvp.{ENVIRONMENT}")) {
        let reason = "belongs to the cluster of CVP_HOSTNAME, of which a file sets nothing, so that no file decides where CVP_PASSWORD \
                      and CVP_TOKEN go; give the section another name, or set the variable LOCKSTEP__CVP__ENVIRONMENT__KEY";
        reader.problem(&key, Some(&origin), reason);
    }
    let cluster = |name: String| CvpConfig::of(reader, &name).map(|cluster| (name, cluster));
    names.into_iter().filter_map(cluster).collect()
}

impl CvpConfig {
    fn of(reader: &mut Reader, name: &str) -> Option<Self> {
        let key = |key: &str| format!("cvp.{name}.{key}");
        let origin = reader.origin_within(&format!("cvp.{name}"));
        let hosts: Vec<Node> = reader.list(&key("hosts"), Vec::new());
        if hosts.is_empty() {
            let reason = "is missing; set the hosts of the cluster";
            reader.problem(&key("hosts"), origin.as_ref(), reason);
        }
        let credentials = credentials(reader, name, origin.as_ref());
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
            sweep_when_synchronized: reader.flag(&key("sweep_when_synchronized"), false),
            credentials: credentials?,
            hosts,
        };
        if cluster.insecure && cluster.ca_file.is_some() {
            let reason = "is set beside ca_file; it switches the verification of certificates off, so set one of the two";
            reader.problem(&key("insecure"), origin.as_ref(), reason);
        }
        if cluster.cloud && matches!(cluster.credentials, Credentials::Password { .. }) {
            let reason = "is missing; the cloud service accepts no users and passwords";
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
    let default = Policy::default();
    let codes = default.codes.iter().cloned().map(Code).collect();
    let codes = reader.list(&key("codes"), codes);
    let change_controls = reader.value(
        &key("change_controls"),
        ChangeControlsWord(default.change_controls),
        CHANGE_CONTROLS,
    );
    let task_diff = reader.value(&key("task_diff"), TaskDiffWord(default.task_diff), TASK_DIFF);
    Policy {
        codes: codes.into_iter().map(|code| code.0).collect(),
        min_age: Duration::from_secs(reader.number(
            &key("min_age_seconds"),
            default.min_age.as_secs(),
            0..=604_800,
        )),
        reading_gap: Duration::from_millis(reader.number(&key("reading_gap_ms"), 500, 0..=600_000)),
        change_controls: change_controls.0,
        task_diff: task_diff.0,
    }
}

fn proxy(reader: &mut Reader, key: &str) -> Option<SecretUrl> {
    let origin = reader.origin(key);
    let text = reader.text(key)?;
    let fits = Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = SecretUrl::from(text);
    reader.show(key, url.to_string());
    if !fits {
        let reason = "is not the address of a proxy, must be http://HOST:PORT";
        reader.problem(key, origin.as_ref(), reason);
    }
    fits.then_some(url)
}

/// A compliance code that CloudVision documents.
struct Code(ComplianceCode);

impl FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match ComplianceCode::from(text) {
            ComplianceCode::Other(code) => Err(format!(
                "{code:?} is not a compliance code; expected one of 0000 to 0019"
            )),
            code => Ok(Self(code)),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// The value of `change_controls` as it is written.
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

/// The value of `task_diff` as it is written.
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
