use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;

/// `[repositories]`
#[derive(Debug)]
pub(crate) struct RepositoriesConfig {
    /// `[repositories.settings]`
    pub(crate) settings: Option<RepositoryConfig>,
    /// `[repositories.templates]`
    pub(crate) templates: Option<RepositoryConfig>,
    /// How often the remote is looked at, for webhooks that never came.
    pub(crate) poll: Duration,
    /// How long to wait for more pushes before looking.
    pub(crate) debounce: Duration,
    /// How long git may take.
    pub(crate) timeout: Duration,
}

/// One repository.
#[derive(Debug)]
pub(crate) struct RepositoryConfig {
    /// Where it is, in the words of git.
    pub(crate) url: String,
    /// The branch that counts.
    pub(crate) branch: String,
    /// What webhooks are signed with; several while they are changed.
    pub(crate) webhook_secrets: Vec<SecretString>,
    /// The private key for `ssh://`.
    pub(crate) ssh_key_file: Option<PathBuf>,
    /// The host keys to accept; otherwise those of the user.
    pub(crate) known_hosts: Option<PathBuf>,
    /// The token for `https://`.
    pub(crate) token: Option<SecretString>,
    /// The user name that goes with the token.
    pub(crate) username: String,
}

impl RepositoriesConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        Self {
            settings: RepositoryConfig::of(reader, "settings"),
            templates: RepositoryConfig::of(reader, "templates"),
            poll: Duration::from_secs(reader.number("repositories.poll_seconds", 60, 1..=86_400)),
            debounce: Duration::from_millis(reader.number("repositories.debounce_ms", 500, 0..=60_000)),
            // All work on a message fits in 20 minutes, and there is more than one git command.
            timeout: Duration::from_secs(reader.number("repositories.timeout_seconds", 120, 1..=300)),
        }
    }
}

impl RepositoryConfig {
    /// The address without what may be a password in it.
    pub(crate) fn shown_url(&self) -> String {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return self.url.clone();
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit_once('@').map_or_else(
            || host.to_owned(),
            |(user, host)| match user.split_once(':') {
                Some((name, _)) => format!("{name}:***@{host}"),
                None => format!("{user}@{host}"),
            },
        );
        format!("{scheme}://{host}/{path}")
    }

    fn of(reader: &mut Reader, name: &str) -> Option<Self> {
        let key = |key: &str| format!("repositories.{name}.{key}");
        let others = [
            "branch",
            "webhook_secret",
            "webhook_secret_file",
            "ssh_key_file",
            "known_hosts",
            "token",
            "token_file",
        ];
        let before = others.iter().find_map(|other| reader.origin(&key(other)));
        let url = reader.text(&key("url"));
        let branch = reader.text(&key("branch"));
        let webhook_secrets = reader.secret(&key("webhook_secret"));
        let ssh_key_file = reader.path(&key("ssh_key_file"));
        let known_hosts = reader.path(&key("known_hosts"));
        let token = reader.secret(&key("token"));
        let username = reader.text(&key("username"));
        if url.is_none() && before.is_some() {
            reader.problem(
                &key("url"),
                before.as_ref(),
                "is missing; say where the repository is",
            );
        }
        Some(Self {
            url: url?,
            branch: branch.unwrap_or_else(|| "main".to_owned()),
            webhook_secrets: webhook_secrets.as_ref().map(lines).unwrap_or_default(),
            ssh_key_file,
            known_hosts,
            token,
            username: username.unwrap_or_else(|| "x-access-token".to_owned()),
        })
    }
}

/// One secret a line: the new one and the old one, while they are changed.
fn lines(secrets: &SecretString) -> Vec<SecretString> {
    let lines = secrets.expose_secret().lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect()
}
