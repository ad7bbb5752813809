use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use thiserror::Error;

/// The address, credentials and limits for a CloudVision cluster.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The nodes, in the order in which they are tried; at least one.
    pub nodes: Vec<Node>,
    /// How the client authenticates.
    pub credentials: Credentials,
    /// Whether it is the cloud service, which has other paths and no version request.
    pub cloud: bool,
    /// The most concurrent requests.
    pub concurrency: usize,
    /// The timeout of one request.
    pub timeout: Duration,
    /// The timeout of a login at one node.
    pub login_timeout: Duration,
    /// When failed requests are retried.
    pub retry: RetryOptions,
}

/// When failed requests are retried.
#[derive(Clone, Copy, Debug)]
pub struct RetryOptions {
    /// The most attempts at a request.
    pub tries: u32,
    /// The first retry delay; each further one is twice as long, with jitter.
    pub first: Duration,
    /// The longest retry delay.
    pub most: Duration,
    /// The time for all attempts together, with delays and logins.
    pub deadline: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            tries: 5,
            first: Duration::from_millis(200),
            most: Duration::from_secs(10),
            deadline: Duration::from_mins(3),
        }
    }
}

/// How the client authenticates.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The name and password of a user, for a login.
    Password {
        username: String,
        password: SecretString,
    },
    /// The token of a service account.
    Token(SecretString),
}

/// The address of a node: HTTPS, or HTTP on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node(Url);

/// The text is not the address of a node.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NodeError {
    /// The text is not a host with an optional port.
    #[error(
        "{0:?} is not the address of a CloudVision node; write a host such as cvp1.example.org or 192.0.2.1:8443"
    )]
    Malformed(String),
    /// The password would be sent unencrypted.
    #[error("{0:?} would be reached without TLS, which is only allowed on this machine")]
    Plain(String),
}

impl Node {
    /// The URL of a path, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    /// Whether the host is that of the cloud service.
    pub fn is_cloud(&self) -> bool {
        self.0
            .host_str()
            .is_some_and(|host| host == "arista.io" || host.ends_with(".arista.io"))
    }
}

impl FromStr for Node {
    type Err = NodeError;

    fn from_str(text: &str) -> Result<Self, NodeError> {
        let malformed = || NodeError::Malformed(without_user(text));
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = Url::parse(&full).map_err(|_| malformed())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        if !url.has_host() || !bare || !anonymous {
            return Err(malformed());
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_local(&url) => Ok(Self(url)),
            "http" => Err(NodeError::Plain(text.to_owned())),
            _ => Err(malformed()),
        }
    }
}

/// The text without a user and password, which it may contain by mistake.
fn without_user(text: &str) -> String {
    text.rsplit_once('@')
        .map_or_else(|| text.to_owned(), |(_, rest)| format!("***@{rest}"))
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_host_with_tls() {
        let table = [
            ("cvp1.example.org", Some("cvp1.example.org")),
            ("192.0.2.1:8443", Some("192.0.2.1:8443")),
            ("https://cvp1", Some("cvp1")),
            ("https://cvp1/", Some("cvp1")),
            ("[2001:db8::1]:443", Some("[2001:db8::1]")),
            ("http://127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("http://[::1]:8080", Some("[::1]:8080")),
            ("http://cvp1", None),
            ("http://127.0.0.1.example.org", None),
            ("https://user:hush@cvp1", None),
            ("https://cvp1/web", None),
            ("ftp://cvp1", None),
            ("", None),
            ("a b", None),
        ];
        for (text, expected) in table {
            let node: Result<Node, NodeError> = text.parse();
            assert_eq!(
                node.as_ref().ok().map(ToString::to_string).as_deref(),
                expected,
                "{text}"
            );
            assert!(!format!("{node:?}").contains("hush"), "{node:?}");
        }
    }

    #[test]
    fn the_cloud_service_is_recognised_by_its_host() {
        for (text, cloud) in [
            ("www.arista.io", true),
            ("www.cv-prod-euwest-2.arista.io", true),
            ("cvp.example.org", false),
            ("arista.io.example.org", false),
        ] {
            assert_eq!(text.parse::<Node>().unwrap().is_cloud(), cloud, "{text}");
        }
    }
}
