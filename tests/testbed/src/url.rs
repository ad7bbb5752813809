//! Parses the parts of URLs that broker addresses need.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::Context;

/// `scheme://user:password@host:port`, without path and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) user: String,
    pub(crate) password: String,
    /// Host and port.
    pub(crate) authority: String,
}

impl Url {
    /// Drops path and query. The default user is `guest`, the default port `default_port`.
    pub(crate) fn parse(text: &str, default_port: u16) -> anyhow::Result<Self> {
        let (scheme, rest) = text
            .split_once("://")
            .with_context(|| format!("not a URL: {text}"))?;
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let (login, place) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let host = place.rsplit(']').next().unwrap_or(place);
        let authority = if host.contains(':') {
            place.to_owned()
        } else {
            format!("{place}:{default_port}")
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            user: decode(user),
            password: decode(password),
            authority,
        })
    }

    pub(crate) fn host(&self) -> &str {
        self.authority
            .rsplit_once(':')
            .map_or(&self.authority, |(host, _)| host)
    }

    pub(crate) fn resolve(&self) -> anyhow::Result<SocketAddr> {
        self.authority
            .to_socket_addrs()
            .with_context(|| format!("resolve {}", self.authority))?
            .next()
            .with_context(|| format!("no address for {}", self.authority))
    }

    /// The URL with a path of one segment.
    pub(crate) fn with_path(&self, segment: &str) -> String {
        let Self {
            scheme,
            user,
            password,
            authority,
        } = self;
        let (user, password, segment) = (encode(user), encode(password), encode(segment));
        format!("{scheme}://{user}:{password}@{authority}/{segment}")
    }
}

/// Percent-encodes all except unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => write!(encoded, "%{byte:02X}").expect("a String takes all"),
        }
        encoded
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_url() {
        let url = Url::parse("amqp://a%40b:p%2Fw@rabbit/vhost?heartbeat=5", 5672).unwrap();
        assert_eq!(url.resolve().ok(), None);
        assert_eq!(url.host(), "rabbit");
        assert_eq!(url.authority, "rabbit:5672");
        assert_eq!(url.with_path("x/y"), "amqp://a%40b:p%2Fw@rabbit:5672/x%2Fy");
        let url = Url::parse("amqp://[::1]:1234", 5672).unwrap();
        assert_eq!((url.user.as_str(), url.host()), ("guest", "[::1]"));
    }
}
