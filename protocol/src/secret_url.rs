use std::fmt;

use serde::{Serialize, Serializer};

/// A URL that may contain secrets. It is shown, logged and serialized without them: its user information is masked, because tokens
/// stand for user names as well, and so are values of its query whose keys name a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The URL as it is, with its secrets.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_url(&self.0))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", mask_url(&self.0))
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const MASK: &str = "***";

/// User information that stands for any, in help and advice.
const PLACEHOLDERS: [&str; 3] = [MASK, "USER", "USER:PASSWORD"];

/// A key of a query that contains one of these has a secret as its value.
const SECRET_KEYS: [&str; 7] = ["pass", "secret", "token", "key", "auth", "sig", "cred"];

/// A URL without its secrets. The whole text is the URL, whatever it contains.
pub fn mask_url(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", mask(rest)),
        // As git accepts it: `git@host:path`. Its user is no secret, but a password is, although git would not take it for one.
        None => match url.split_once('@') {
            Some((user, rest)) if user.contains(':') => format!("{MASK}@{rest}"),
            _ => url.to_owned(),
        },
    }
}

/// A text in which the secrets of every URL are masked. Inside of JSON it leaves JSON.
pub fn mask_urls(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>'))
            .unwrap_or(after.len());
        // The next URL has its own turn. A backslash in front of the quote belongs to the quote.
        let end = after[..end].find("://").unwrap_or(end);
        let url = after[..end].trim_end_matches('\\');
        masked.push_str(&mask(url));
        rest = &after[url.len()..];
    }
    masked.push_str(rest);
    masked
}

/// The part of a URL behind `://`, without its secrets.
fn mask(rest: &str) -> String {
    let (user, rest) = match user_information(rest) {
        Some(at) if PLACEHOLDERS.contains(&&rest[..at]) => (&rest[..=at], &rest[at + 1..]),
        Some(at) => ("***@", &rest[at + 1..]),
        None => ("", rest),
    };
    let Some((path, query)) = rest.split_once('?') else {
        return format!("{user}{rest}");
    };
    let (query, fragment) = match query.find('#') {
        Some(at) => query.split_at(at),
        None => (query, ""),
    };
    let pairs: Vec<String> = query.split('&').map(mask_pair).collect();
    format!("{user}{path}?{}{fragment}", pairs.join("&"))
}

fn mask_pair(pair: &str) -> String {
    let Some((key, _)) = pair.split_once('=') else {
        return pair.to_owned();
    };
    let lower = key.to_ascii_lowercase();
    if SECRET_KEYS.iter().any(|secret| lower.contains(secret)) {
        format!("{key}={MASK}")
    } else {
        pair.to_owned()
    }
}

/// Where the user information ends. A password may contain slashes and question marks by mistake, so everything in front of the last
/// `@` is masked unless it begins with a host.
fn user_information(rest: &str) -> Option<usize> {
    let authority = rest.split('/').next().unwrap_or_default();
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let is_host = port.bytes().all(|byte| byte.is_ascii_digit())
        && host
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '%'));
    if is_host { None } else { rest.rfind('@') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_information_of_every_url_is_masked() {
        let table = [
            (
                "amqp://u:hush@host/v?heartbeat=5",
                "amqp://***@host/v?heartbeat=5",
            ),
            ("amqp://host", "amqp://host"),
            (
                "https://hush@git.example.org/s.git",
                "https://***@git.example.org/s.git",
            ),
            (
                "https://git.example.org/@group/s.git",
                "https://git.example.org/@group/s.git",
            ),
            ("http://hush:@proxy:3128", "http://***@proxy:3128"),
            ("postgres://u:hu@sh@h/d", "postgres://***@h/d"),
            ("postgres://u:hu?sh@h/d", "postgres://***@h/d"),
            ("postgres://u:hush/hush@h/d", "postgres://***@h/d"),
            ("postgres://u:hush#hush@[::1]:1/d", "postgres://***@[::1]:1/d"),
            ("https://[::1]:8443/@x", "https://[::1]:8443/@x"),
            (
                "postgres:///d?user=u&password=hush&sslmode=require#x",
                "postgres:///d?user=u&password=***&sslmode=require#x",
            ),
            ("https://h/?access_token=hush", "https://h/?access_token=***"),
            ("git@git.example.org:s.git", "git@git.example.org:s.git"),
            ("git:hush@git.example.org:s.git", "***@git.example.org:s.git"),
            ("/srv/s.git", "/srv/s.git"),
        ];
        for (url, expected) in table {
            let secret = SecretUrl::from(url.to_owned());
            assert_eq!(secret.to_string(), expected);
            assert_eq!(format!("{secret:?}"), format!("{expected:?}"));
            assert_eq!(serde_json::to_value(&secret).unwrap(), expected);
            assert_eq!(secret.expose(), url);
            assert_eq!(mask_url(expected), expected, "masked stays masked");
            if url.contains("://") {
                let text = format!("cannot reach \"{url}\" or {url} now");
                let masked = format!("cannot reach \"{expected}\" or {expected} now");
                assert_eq!(mask_urls(&text), masked);
            }
        }
    }

    #[test]
    fn text_without_secrets_stays_the_same() {
        for text in [
            "",
            "a@b.example.org said: see https://h/x?wait=60, or mail c@d",
            "must be amqp://USER:PASSWORD@HOST:PORT/VHOST, or ssh://USER@HOST/PATH",
            "://",
            "x ://",
            "file:///srv/a@b",
        ] {
            assert_eq!(mask_urls(text), text);
        }
    }

    #[test]
    fn json_stays_json() {
        for value in [
            "https://u:hu\"sh@h",
            "https://h?token=a\"b\\",
            "https://h?token=\\\\",
            "http://a://b@c",
        ] {
            let text = serde_json::json!({"a": value, "b": "c@d"}).to_string();
            let masked: serde_json::Value = serde_json::from_str(&mask_urls(&text)).unwrap();
            assert_eq!(masked["b"], "c@d", "{masked}");
        }
    }
}
