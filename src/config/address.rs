use std::fmt;
use std::path::PathBuf;

use lockstep_protocol::mask_url;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;

/// The address of the broker.
#[derive(Clone, Debug)]
pub(crate) enum BrokerUrl {
    /// A bus inside this process.
    Embedded,
    /// A RabbitMQ server.
    Amqp(SecretString),
}

/// The address of the store.
#[derive(Clone, Debug)]
pub(crate) enum StoreUrl {
    /// A database file of one process.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(SecretString),
}

/// An address that may contain a password: problems never repeat it.
pub(super) trait Address: Sized {
    /// The allowed forms, as problems name them.
    const ALLOWED: &str;

    /// Reads an address; none if it has another form.
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

/// Reads the address of a key, or of the file that `KEY_file` names.
pub(super) fn read<A: Address + fmt::Display>(reader: &mut Reader, key: &str, default: A) -> A {
    let origin = reader
        .origin(key)
        .or_else(|| reader.origin(&format!("{key}_file")));
    let address = reader.secret(key).map(|secret| A::parse(secret.expose_secret()));
    if let Some(None) = address {
        let reason = format!("is not a valid address, must be {}", A::ALLOWED);
        reader.problem(key, origin.as_ref(), reason);
    }
    let address = address.flatten().unwrap_or(default);
    reader.show(key, address.to_string());
    address
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded:"),
            Self::Amqp(url) => f.write_str(&mask_url(url.expose_secret())),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&mask_url(url.expose_secret())),
        }
    }
}
