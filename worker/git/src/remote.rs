use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lockstep_protocol::mask_urls;
use secrecy::{ExposeSecret, SecretString};

/// What a [`Remote`] is made of.
#[derive(Clone, Default)]
pub struct RemoteSettings {
    /// The address, as git accepts it.
    pub url: String,
    /// The branch to fetch.
    pub branch: String,
    /// The private key for ssh; without it, ssh uses the keys of the user.
    pub ssh_key_file: Option<PathBuf>,
    /// The file of accepted host keys; without it, ssh uses that of the user.
    pub known_hosts: Option<PathBuf>,
    /// User name and token for https; without them, and without user information in the address, requests are anonymous.
    pub token: Option<(String, SecretString)>,
    /// Whether credentials may cross the network unencrypted, over http.
    pub allow_credentials_without_tls: bool,
    /// Whether redirects are followed, also to other hosts.
    pub follow_redirects: bool,
}

/// The address of a repository, its branch, and the credentials for it.
#[derive(Clone)]
pub struct Remote {
    /// The address without the credentials.
    url: String,
    protocol: &'static str,
    /// Scheme, host and port, of http and https.
    origin: Option<String>,
    /// User name and password.
    credentials: Option<(String, SecretString)>,
    settings: RemoteSettings,
}

/// Why the configuration of a remote is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The address has a protocol or form that is not allowed.
    #[error(
        "must be https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, http://HOST/PATH, file:///PATH or /PATH"
    )]
    Url,
    /// The address has a password, which only http and https take.
    #[error("must not have a password; for ssh set ssh_key_file")]
    Password,
    /// The credentials would be sent unencrypted.
    #[error(
        "would send credentials unencrypted; use https://, or set allow_credentials_without_tls = true if everybody between here and the remote may read them"
    )]
    WithoutTls,
    /// The token is for another protocol.
    #[error("is only for https://; for ssh set ssh_key_file")]
    TokenWithoutHttp,
    /// Both the address and the configuration have a password.
    #[error("is set, and the url has a password, too; remove one of the two")]
    TwoPasswords,
    /// The token has more than one line.
    #[error("must be one line without control characters, also its user name")]
    Token,
    /// The name is not a valid branch name.
    #[error("{0:?} is not a valid branch name")]
    Branch(String),
}

impl RemoteError {
    /// The key of the repository's configuration that is wrong.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Url | Self::Password | Self::WithoutTls => "url",
            Self::TokenWithoutHttp | Self::TwoPasswords | Self::Token => "token",
            Self::Branch(_) => "branch",
        }
    }
}

impl Remote {
    /// Uses a branch of the repository at this address.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub fn new(url: &str, branch: &str) -> Result<Self, RemoteError> {
        Self::of(RemoteSettings {
            url: url.to_owned(),
            branch: branch.to_owned(),
            ..RemoteSettings::default()
        })
    }

    /// Checks the settings, and separates the credentials from the address.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub fn of(settings: RemoteSettings) -> Result<Self, RemoteError> {
        let protocol = protocol(&settings.url).ok_or(RemoteError::Url)?;
        if !is_branch(&settings.branch) {
            return Err(RemoteError::Branch(settings.branch));
        }
        let address = Address::parse(&settings.url, protocol)?;
        let user = match (address.user, &settings.token) {
            (Some((_, password)), Some(_)) if !password.is_empty() => return Err(RemoteError::TwoPasswords),
            (_, Some((user, token))) => Some((user.clone(), token.clone())),
            (user, None) => user.map(|(name, password)| (name, password.into())),
        };
        if user.is_some() && address.origin.is_none() {
            return Err(RemoteError::TokenWithoutHttp);
        }
        let has_controls = |text: &str| text.chars().any(char::is_control);
        if user
            .as_ref()
            .is_some_and(|(name, password)| has_controls(name) || has_controls(password.expose_secret()))
        {
            return Err(RemoteError::Token);
        }
        if user.is_some() && protocol == "http" && !settings.allow_credentials_without_tls {
            return Err(RemoteError::WithoutTls);
        }
        Ok(Self {
            url: address.url,
            protocol,
            origin: address.origin,
            credentials: user,
            settings: RemoteSettings {
                url: String::new(),
                token: None,
                ..settings
            },
        })
    }

    /// The configured branch.
    pub fn branch(&self) -> &str {
        &self.settings.branch
    }

    /// The same repository with another branch.
    ///
    /// # Errors
    /// If it is not the name of a branch.
    pub(super) fn with_branch(&self, branch: &str) -> Result<Self, RemoteError> {
        if !is_branch(branch) {
            return Err(RemoteError::Branch(branch.to_owned()));
        }
        let mut remote = self.clone();
        branch.clone_into(&mut remote.settings.branch);
        Ok(remote)
    }

    /// The address without credentials.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port, of http and https.
    pub(super) fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// User name and password.
    pub(super) fn credentials(&self) -> Option<(&str, &SecretString)> {
        let (user, password) = self.credentials.as_ref()?;
        Some((user, password))
    }

    pub(super) fn password(&self) -> Option<&str> {
        Some(self.credentials.as_ref()?.1.expose_secret())
    }

    pub(super) fn follows_redirects(&self) -> bool {
        self.settings.follow_redirects
    }

    /// The only protocols that git may use, separated by colons. A redirect never leads from https to http.
    pub(super) fn protocols(&self) -> &'static str {
        match self.protocol {
            "http" if self.settings.follow_redirects => "http:https",
            protocol => protocol,
        }
    }

    /// The ssh command with its options.
    pub(super) fn ssh_command(&self) -> String {
        let key = self.settings.ssh_key_file.as_ref().map(|key| {
            let key = quoted(&key.to_string_lossy());
            format!(" -o IdentitiesOnly=yes -i {key}")
        });
        let hosts = self.settings.known_hosts.as_ref().map(|hosts| {
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

    /// The text without the credentials, which a remote may repeat in its messages.
    pub(super) fn masked(&self, text: &str) -> String {
        let Some((user, password)) = self.credentials() else {
            return mask_urls(text);
        };
        let password = password.expose_secret();
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        // Without a password, the user name is a token.
        let secret = if password.is_empty() { user } else { password };
        [secret, &encoded]
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .fold(mask_urls(text), |text, secret| text.replace(secret, "***"))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url)
            .field("branch", &self.settings.branch)
            .finish_non_exhaustive()
    }
}

/// The parts of an address.
struct Address {
    /// The address without credentials.
    url: String,
    /// Scheme, host and port, of http and https.
    origin: Option<String>,
    /// User name and password of http and https.
    user: Option<(String, String)>,
}

impl Address {
    fn parse(url: &str, protocol: &str) -> Result<Self, RemoteError> {
        let as_it_is = || Self {
            url: url.to_owned(),
            origin: None,
            user: None,
        };
        let Some((scheme, rest)) = url.split_once("://").filter(|_| protocol != "file") else {
            return Ok(as_it_is());
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority
            .rsplit_once('@')
            .map_or((None, authority), |(user, host)| (Some(user), host));
        if protocol == "ssh" {
            // The user name belongs to the address of the repository.
            return match user {
                Some(user) if user.contains(':') => Err(RemoteError::Password),
                _ => Ok(as_it_is()),
            };
        }
        // A password with a slash would else be taken for host, port and path.
        let after_host = host.rsplit_once(']').map_or(host, |(_, port)| port);
        let port = after_host.split_once(':').map_or("", |(_, port)| port);
        if host.is_empty() || !port.chars().all(|c| c.is_ascii_digit()) {
            return Err(RemoteError::Url);
        }
        let origin = format!("{scheme}://{host}");
        let user = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            Some((percent_decoded(name)?, percent_decoded(password)?))
        });
        Ok(Self {
            url: format!("{origin}{path}"),
            origin: Some(origin),
            user: user.map(|user| user.ok_or(RemoteError::Url)).transpose()?,
        })
    }
}

/// The text with `%40` as `@`, as git decodes it; `None` if it is not UTF-8 then.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = (*first == b'%').then(|| tail.get(..2)).flatten();
        let escaped = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
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
pub(super) fn quoted(text: &str) -> String {
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

    fn settings(url: &str) -> RemoteSettings {
        RemoteSettings {
            url: url.to_owned(),
            branch: "main".to_owned(),
            ..RemoteSettings::default()
        }
    }

    #[test]
    fn ssh_uses_the_configured_key_and_hosts_without_prompts() {
        let remote = Remote::of(RemoteSettings {
            ssh_key_file: Some("/etc/it's here".into()),
            known_hosts: Some("/etc/known hosts".into()),
            ..settings("git@git.example.org:settings")
        });
        let command = remote.unwrap().ssh_command();
        assert!(
            command.contains("BatchMode=yes") && command.contains("StrictHostKeyChecking=yes"),
            "{command}"
        );
        let end =
            r#" -o IdentitiesOnly=yes -i '/etc/it'\''s here' -o 'UserKnownHostsFile="/etc/known hosts"'"#;
        assert!(command.ends_with(end), "{command}");
    }

    #[test]
    fn credentials_are_separated_from_the_address() {
        let table = [
            ("https://h/p", "https://h/p", None),
            ("https://bot:hush@h/p", "https://h/p", Some(("bot", "hush"))),
            (
                "https://b%40t:h%75sh%2F@h:8443/p?x=a@b",
                "https://h:8443/p?x=a@b",
                Some(("b@t", "hush/")),
            ),
            (
                "https://b:p@ss@[::1]:80/p",
                "https://[::1]:80/p",
                Some(("b", "p@ss")),
            ),
            ("https://hush@h/p", "https://h/p", Some(("hush", ""))),
            ("https://100%@h", "https://h", Some(("100%", ""))),
            ("ssh://git@h/p", "ssh://git@h/p", None),
            ("git@h:p", "git@h:p", None),
            ("file:///srv/a@b:c", "file:///srv/a@b:c", None),
            ("/srv/a@b:c", "/srv/a@b:c", None),
        ];
        for (url, bare, credentials) in table {
            let remote = Remote::of(settings(url)).unwrap();
            let found = remote.credentials();
            let found = found.map(|(user, password)| (user, password.expose_secret()));
            assert_eq!((remote.url(), found), (bare, credentials), "{url}");
            assert!(!format!("{remote:?}").contains("hush"), "{remote:?}");
            let repeated = "fatal: no https://bot:hush@h, aHVzaDo=, Ym90Omh1c2g=";
            if url.contains("hush@") {
                assert!(!remote.masked(repeated).contains("hush"), "{url}");
            }
        }
    }

    #[test]
    fn credentials_go_only_where_they_are_safe() {
        let token = Some(("bot".to_owned(), SecretString::from("hush")));
        let with = |url: &str, allow: bool| RemoteSettings {
            token: token.clone(),
            allow_credentials_without_tls: allow,
            ..settings(url)
        };
        let allowed = |url: &str| RemoteSettings {
            allow_credentials_without_tls: true,
            ..settings(url)
        };
        let long = RemoteSettings {
            token: Some(("bot".to_owned(), "one\ntwo".into())),
            ..settings("https://h/p")
        };
        let table = [
            (with("https://h/p", false), None),
            (with("https://other@h/p", false), None),
            (with("http://h/p", false), Some(RemoteError::WithoutTls)),
            (with("http://h/p", true), None),
            (settings("http://h/p"), None),
            (settings("http://u:p@h/p"), Some(RemoteError::WithoutTls)),
            (settings("http://u@h/p"), Some(RemoteError::WithoutTls)),
            (allowed("http://u:p@h/p"), None),
            (with("https://u:p@h/p", false), Some(RemoteError::TwoPasswords)),
            (with("ssh://git@h/p", true), Some(RemoteError::TokenWithoutHttp)),
            (with("/srv/p", true), Some(RemoteError::TokenWithoutHttp)),
            (settings("ssh://git:p@h/p"), Some(RemoteError::Password)),
            (settings("https://u:p/w@h/p"), Some(RemoteError::Url)),
            (settings("https:///p"), Some(RemoteError::Url)),
            (settings("https://u:%0a@h/p"), Some(RemoteError::Token)),
            (settings("https://u:%ff@h/p"), Some(RemoteError::Url)),
            (long, Some(RemoteError::Token)),
        ];
        for (settings, expected) in table {
            let url = settings.url.clone();
            assert_eq!(Remote::of(settings).err(), expected, "{url}");
        }
    }
}
