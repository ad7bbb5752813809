use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lockstep_protocol::{mask_url, mask_urls};
use secrecy::{ExposeSecret, SecretString};

/// The address of a repository, its branch, and the credentials for it.
#[derive(Clone)]
pub struct Remote {
    url: String,
    branch: String,
    protocol: &'static str,
    /// The private key for ssh; without it, ssh uses the keys of the user.
    pub ssh_key_file: Option<PathBuf>,
    /// The file of accepted host keys; without it, ssh uses that of the user.
    pub known_hosts: Option<PathBuf>,
    /// User name and token for https; without them, requests are anonymous.
    pub token: Option<(String, SecretString)>,
}

/// Why the configuration of a remote is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The address has a protocol or form that is not allowed.
    #[error(
        "must be https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, file:///PATH or /PATH; http:// without a token"
    )]
    Url,
    /// The token would be sent unencrypted.
    #[error("is only for https://; for ssh set ssh_key_file")]
    TokenInTheClear,
    /// The name is not a valid branch name.
    #[error("{0:?} is not a valid branch name")]
    Branch(String),
}

impl Remote {
    /// Uses a branch of the repository at this address.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub fn new(url: &str, branch: &str) -> Result<Self, RemoteError> {
        let protocol = protocol(url).ok_or(RemoteError::Url)?;
        if !is_branch(branch) {
            return Err(RemoteError::Branch(branch.to_owned()));
        }
        Ok(Self {
            url: url.to_owned(),
            branch: branch.to_owned(),
            protocol,
            ssh_key_file: None,
            known_hosts: None,
            token: None,
        })
    }

    /// The configured branch.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The only protocol that git may use.
    pub(super) fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The ssh command with its options.
    pub(super) fn ssh_command(&self) -> String {
        let key = self.ssh_key_file.as_ref().map(|key| {
            let key = quoted(&key.to_string_lossy());
            format!(" -o IdentitiesOnly=yes -i {key}")
        });
        let hosts = self.known_hosts.as_ref().map(|hosts| {
            let option = format!("UserKnownHostsFile=\"{}\"", hosts.to_string_lossy());
            format!(" -o {}", quoted(&option))
        });
        let options = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 \
                       -o ServerAliveInterval=10 -o ServerAliveCountMax=3";
        [
            options,
            key.as_deref().unwrap_or_default(),
            hosts.as_deref().unwrap_or_default(),
        ]
        .concat()
    }

    /// The header with the credentials. It is passed in the environment, which other users of the machine cannot read, and sent
    /// only to this address, because redirects are not followed.
    pub(super) fn authorization(&self) -> Option<String> {
        let (user, token) = self.token.as_ref()?;
        let pair = format!("{user}:{}", token.expose_secret());
        Some(format!("Authorization: Basic {}", STANDARD.encode(pair)))
    }

    /// A text of git without secrets: the password of the address, and the user information of every address.
    pub(super) fn without_password(&self, text: &str) -> String {
        let password = self
            .url
            .split_once("://")
            .and_then(|(_, rest)| rest.split('/').next())
            .and_then(|authority| authority.rsplit_once('@'))
            .and_then(|(user, _)| user.split_once(':'))
            .map(|(_, password)| password);
        match password.filter(|password| !password.is_empty()) {
            Some(password) => mask_urls(&text.replace(password, "***")),
            None => mask_urls(text),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &mask_url(&self.url))
            .field("branch", &self.branch)
            .finish_non_exhaustive()
    }
}

/// The protocol of an address, if it is allowed. Git has further protocols that are dangerous: `ext::` runs programs.
fn protocol(url: &str) -> Option<&'static str> {
    if url.starts_with('-') || url.chars().any(char::is_control) {
        return None;
    }
    if let Some((scheme, rest)) = url.split_once("://") {
        let protocol = ["https", "http", "ssh", "file"]
            .into_iter()
            .find(|known| *known == scheme)?;
        // Ssh would take a host that begins with a dash for an option.
        let host = rest.rsplit('@').next().unwrap_or(rest);
        return (!rest.is_empty() && !rest.starts_with('-') && !host.starts_with('-')).then_some(protocol);
    }
    if url.contains("::") {
        return None;
    }
    let before_slash = url.split('/').next().unwrap_or_default();
    match before_slash.split_once(':') {
        Some((host, _)) => {
            let host = host.rsplit('@').next().unwrap_or(host);
            (!host.is_empty() && !host.starts_with('-')).then_some("ssh")
        }
        None => url.starts_with(['/', '.']).then_some("file"),
    }
}

/// Whether the name follows the rules of `git check-ref-format` and has no leading dash.
fn is_branch(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let is_component = |part: &str| {
        let lock = part.len() >= 5 && part.as_bytes()[part.len() - 5..].eq_ignore_ascii_case(b".lock");
        !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !lock
    };
    !name.starts_with('-')
        && name.len() <= 255
        && name != "@"
        && !name.contains(forbidden)
        && !name.contains("..")
        && !name.contains("@{")
        && name.split('/').all(is_component)
}

/// Quotes a word for a shell command.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_allowed_protocols_are_accepted() {
        let table = [
            ("https://git.example.org/network/settings.git", Some("https")),
            ("http://127.0.0.1:3000/settings", Some("http")),
            ("ssh://git@git.example.org:2222/settings", Some("ssh")),
            ("git@git.example.org:network/settings.git", Some("ssh")),
            ("file:///srv/settings", Some("file")),
            ("/srv/settings", Some("file")),
            ("./settings", Some("file")),
            ("settings", None),
            ("", None),
            ("-oProxyCommand=touch /tmp/x", None),
            ("ssh://-oProxyCommand=x/y", None),
            ("ssh://git@-oProxyCommand=x/y", None),
            ("-oProxyCommand=x:y", None),
            ("git@-oProxyCommand=x:y", None),
            ("ext::sh -c touch%20/tmp/x", None),
            ("fd::17", None),
            ("git://git.example.org/settings", None),
            ("https://git.example.org/a\nb", None),
        ];
        for (url, expected) in table {
            assert_eq!(protocol(url), expected, "{url:?}");
        }
    }

    #[test]
    fn branches_are_named_as_git_allows() {
        for valid in ["main", "feature/x", "release-1.2", "ümlaut", "a@b"] {
            assert!(is_branch(valid), "{valid}");
        }
        for invalid in [
            "", "-x", "a b", "a..b", "a/", "/a", "a//b", ".a", "a/.b", "a.lock", "a~1", "a^", "a:b", "a?",
            "a*", "a[b", "a\\b", "@", "a@{1}", "a\tb",
        ] {
            assert!(!is_branch(invalid), "{invalid}");
        }
    }

    #[test]
    fn ssh_uses_the_configured_key_and_hosts_without_prompts() {
        let mut remote = Remote::new("git@git.example.org:settings", "main").unwrap();
        remote.ssh_key_file = Some("/etc/it's here".into());
        remote.known_hosts = Some("/etc/known hosts".into());
        let command = remote.ssh_command();
        assert!(
            command.contains("BatchMode=yes") && command.contains("StrictHostKeyChecking=yes"),
            "{command}"
        );
        let end =
            r#" -o IdentitiesOnly=yes -i '/etc/it'\''s here' -o 'UserKnownHostsFile="/etc/known hosts"'"#;
        assert!(command.ends_with(end), "{command}");
    }

    #[test]
    fn a_password_in_the_address_is_never_shown() {
        let remote = Remote::new("https://bot:hunter2@git.example.org/settings", "main").unwrap();
        assert!(!format!("{remote:?}").contains("hunter2"));
        let message = "fatal: unable to access 'https://bot:hunter2@git.example.org/settings/'";
        assert!(!remote.without_password(message).contains("hunter2"));
        let remote = Remote::new("https://hunter2@git.example.org/settings", "main").unwrap();
        assert!(!format!("{remote:?}").contains("hunter2"));
        let message = "fatal: unable to access 'https://hunter2@git.example.org/settings/'";
        assert!(!remote.without_password(message).contains("hunter2"));
    }
}
