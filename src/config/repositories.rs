use std::path::PathBuf;
use std::time::Duration;

use lockstep_git::Limits;
use lockstep_protocol::SecretUrl;
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;

/// `[repositories]`
#[derive(Debug)]
pub(crate) struct RepositoriesConfig {
    /// `[repositories.settings]`; none if it is not configured.
    pub(crate) settings: Option<RepositoryConfig>,
    /// `[repositories.templates]`; none if it is not configured.
    pub(crate) templates: Option<RepositoryConfig>,
    /// How often the remote is asked for its tip, in case a webhook was lost.
    pub(crate) poll: Duration,
    /// How long to wait for more pushes before a refresh.
    pub(crate) debounce: Duration,
    /// How long a git command may take.
    pub(crate) timeout: Duration,
    /// What git may use.
    pub(crate) limits: Limits,
}

/// One repository.
#[derive(Debug)]
pub(crate) struct RepositoryConfig {
    /// The address of the remote, as git accepts it.
    pub(crate) url: SecretUrl,
    /// The branch whose commits are accepted.
    pub(crate) branch: String,
    /// The secrets that sign webhooks; more than one during a rotation.
    pub(crate) webhook_secrets: Vec<SecretString>,
    /// The private key for SSH. Default: those of the user.
    pub(crate) ssh_key_file: Option<PathBuf>,
    /// The host keys to accept. Default: those of the user.
    pub(crate) known_hosts: Option<PathBuf>,
    /// The token for `https://`.
    pub(crate) token: Option<SecretString>,
    /// The user name that goes with the token.
    pub(crate) username: String,
    /// Whether credentials may be sent unencrypted, to `http://`.
    pub(crate) allow_credentials_without_tls: bool,
    /// Whether redirects are followed, also to other hosts.
    pub(crate) follow_redirects: bool,
}

impl RepositoriesConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        Self {
            settings: RepositoryConfig::of(reader, "settings"),
            templates: RepositoryConfig::of(reader, "templates"),
            poll: Duration::from_secs(reader.number("repositories.poll_seconds", 60, 1..=86_400)),
            debounce: Duration::from_millis(reader.number("repositories.debounce_ms", 500, 0..=60_000)),
            // A refresh runs several git commands, and must end within the 20 minutes that a message may take.
            timeout: Duration::from_secs(reader.number("repositories.timeout_seconds", 120, 1..=300)),
            limits: Limits {
                memory_mib: reader.number("repositories.memory_mib", 1024, 128..=1_048_576),
                clone_mib: reader.number("repositories.clone_mib", 4096, 16..=1_048_576),
            },
        }
    }
}

impl RepositoryConfig {
    fn of(reader: &mut Reader, name: &str) -> Option<Self> {
        let key = |key: &str| format!("repositories.{name}.{key}");
        let origin = reader.section(&format!("repositories.{name}"))?;
        let url = reader.text(&key("url"));
        let branch = reader.text_or(&key("branch"), "main");
        let secrets_origin = reader
            .origin(&key("webhook_secret"))
            .or_else(|| reader.origin(&key("webhook_secret_file")));
        let webhook_secrets = reader.secret(&key("webhook_secret"));
        let webhook_secrets = webhook_secrets.as_ref().map(lines).unwrap_or_default();
        for secret in &webhook_secrets {
            reader.require_length(&key("webhook_secret"), secrets_origin.as_ref(), secret);
        }
        let ssh_key_file = reader.path(&key("ssh_key_file"));
        let known_hosts = reader.path(&key("known_hosts"));
        let token = reader.secret(&key("token"));
        let username = reader.text_or(&key("username"), "x-access-token");
        let allow_credentials_without_tls = reader.flag(&key("allow_credentials_without_tls"), false);
        let follow_redirects = reader.flag(&key("follow_redirects"), false);
        if url.is_none() {
            let reason = "is missing; set the address of the repository";
            reader.problem(&key("url"), Some(&origin), reason);
        }
        let config = Self {
            url: url?.into(),
            branch,
            webhook_secrets,
            ssh_key_file,
            known_hosts,
            token,
            username,
            allow_credentials_without_tls,
            follow_redirects,
        };
        reader.show(&key("url"), config.url.to_string());
        Some(config)
    }
}

/// One secret on each line: during a rotation the new one and the old one.
fn lines(secrets: &SecretString) -> Vec<SecretString> {
    let lines = secrets.expose_secret().lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect()
}
