//! Opening one connection, and why that failed.

use std::fmt;
use std::time::Duration;

use async_rs::Runtime;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::time::timeout;

use super::address;
use super::options::AmqpOptions;
use crate::BusError;

/// Closed by an operator's or the broker's refusal of user and password.
const ACCESS_REFUSED: u16 = 403;
/// No such virtual host, or no right to it.
const NOT_ALLOWED: u16 = 530;

/// All that is needed to connect, checked once.
pub(super) struct Dial {
    uri: AMQPUri,
    ca: Option<String>,
    name: String,
    limit: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// User, password or virtual host.
    Refused(String),
    /// The broker's certificate.
    Untrusted(String),
    /// Anything that may pass.
    Away(String),
}

impl Dial {
    /// Checks address and certificate authority.
    ///
    /// # Errors
    /// [`BusError::Address`].
    pub(super) fn new(options: &AmqpOptions) -> Result<Self, BusError> {
        let mut uri = address::parse(&options.url).map_err(|reason| BusError::Address { reason })?;
        let heartbeat = address::heartbeat_seconds(options.heartbeat);
        uri.query.heartbeat.get_or_insert(heartbeat);
        let ca = match &options.ca_file {
            None => None,
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| BusError::Address {
                reason: format!("the certificate authority {}: {error}", file.display()),
            })?),
        };
        Ok(Self {
            uri,
            ca,
            name: options.connection_name.clone(),
            limit: options.connect_timeout,
        })
    }

    /// Whom the broker authenticates.
    pub(super) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// How long a question to the broker may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Connects; lapin's automatic recovery stays off.
    pub(super) async fn open(&self, role: &str) -> Result<Connection, DialError> {
        let properties =
            ConnectionProperties::default().with_connection_name(format!("{} {role}", self.name).into());
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: self.ca.clone(),
        };
        let connecting =
            Connection::connect_uri_with_config(self.uri.clone(), properties, tls, Runtime::tokio_current());
        match timeout(self.limit, connecting).await {
            Ok(connected) => connected.map_err(|error| DialError::of(&error)),
            Err(_) => Err(DialError::Away(format!("no answer within {:?}", self.limit))),
        }
    }
}

impl DialError {
    fn of(error: &lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(said) if matches!(said.get_id(), ACCESS_REFUSED | NOT_ALLOWED) => {
                Self::Refused(said.get_message().to_string())
            }
            ErrorKind::IOError(said) if said.to_string().contains("certificate") => {
                Self::Untrusted(said.to_string())
            }
            _ => Self::Away(error.to_string()),
        }
    }

    /// As an answer to whoever connects for the first time; nothing where waiting may help.
    pub(super) fn permanent(&self) -> Option<BusError> {
        match self {
            Self::Refused(reason) => Some(BusError::Refused {
                reason: reason.clone(),
            }),
            Self::Untrusted(reason) => Some(BusError::Untrusted {
                reason: reason.clone(),
            }),
            Self::Away(_) => None,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.permanent(), self) {
            (Some(error), _) => error.fmt(f),
            (None, Self::Away(reason) | Self::Refused(reason) | Self::Untrusted(reason)) => {
                f.write_str(reason)
            }
        }
    }
}
