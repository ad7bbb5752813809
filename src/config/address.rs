use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;

/// Where the broker is.
#[derive(Clone, Debug)]
pub(crate) enum BrokerUrl {
    /// Inside this process.
    Embedded,
    /// RabbitMQ.
    Amqp(SecretString),
}

/// Where the store is.
#[derive(Clone, Debug)]
pub(crate) enum StoreUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(SecretString),
}

/// An address that may hold a password: read from a key or a file, and never repeated in a problem.
pub(super) trait Address: Sized {
    /// What is allowed, for people.
    const ALLOWED: &str;

    /// Reads an address.
    fn parse(text: &str) -> Option<Self>;
}

impl Address for BrokerUrl {
    const ALLOWED: &str = "\"embedded:\", or amqp://USER:PASSWORD@HOST:PORT/VHOST, or the same with amqps://";

    fn parse(text: &str) -> Option<Self> {
        if matches!(text, "embedded:" | "embedded") {
            return Some(Self::Embedded);
        }
        let url = Url::parse(text).ok()?;
        let fits = matches!(url.scheme(), "amqp" | "amqps") && url.has_host();
        fits.then(|| Self::Amqp(text.to_owned().into()))
    }
}

impl Address for StoreUrl {
    const ALLOWED: &str = "sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE";

    fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return (!path.is_empty()).then(|| Self::Sqlite(path.into()));
        }
        let url = Url::parse(text).ok()?;
        matches!(url.scheme(), "postgres" | "postgresql").then(|| Self::Postgres(text.to_owned().into()))
    }
}

/// Reads an address; `usual` where there is none.
pub(super) fn read<A: Address>(reader: &mut Reader, key: &str, usual: A) -> A {
    let origin = reader
        .origin(key)
        .or_else(|| reader.origin(&format!("{key}_file")));
    let Some(secret) = reader.secret(key) else {
        return usual;
    };
    A::parse(secret.expose_secret()).unwrap_or_else(|| {
        reader.problem(
            key,
            origin.as_ref(),
            format!("is no address understood here, must be {}", A::ALLOWED),
        );
        usual
    })
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded:"),
            Self::Amqp(url) => f.write_str(&masked(url)),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&masked(url)),
        }
    }
}

/// An address without its password, wherever in it that stands.
fn masked(url: &SecretString) -> String {
    let Ok(mut url) = Url::parse(url.expose_secret()) else {
        return "***".to_owned();
    };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "***".to_owned();
    }
    let mask = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let secret = name.contains("pass") || name.contains("secret");
        (
            name.into_owned(),
            if secret {
                "***".to_owned()
            } else {
                value.into_owned()
            },
        )
    };
    let pairs: Vec<(String, String)> = url.query_pairs().map(mask).collect();
    if !pairs.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_wherever_they_stand() {
        let table = [
            ("amqp://u:secret@host/v", "amqp://u:***@host/v"),
            ("amqp://host", "amqp://host"),
            (
                "postgres://u:secret@h/d?sslmode=require&password=secret",
                "postgres://u:***@h/d?sslmode=require&password=***",
            ),
            ("nonsense secret", "***"),
        ];
        for (url, expected) in table {
            assert_eq!(masked(&url.into()), expected);
        }
    }
}
