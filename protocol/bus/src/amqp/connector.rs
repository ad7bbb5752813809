//! Opens a connection, and classifies the errors of doing so.

use std::fmt;
use std::time::Duration;

use async_rs::Runtime;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::time::timeout;

use super::address;
use super::options::AmqpOptions;
use super::outage::BrokerLog;
use crate::BusError;

/// The broker refused user and password.
const ACCESS_REFUSED: u16 = 403;
/// The virtual host does not exist, or the user has no permission for it.
const NOT_ALLOWED: u16 = 530;

/// The validated parameters of a connection.
pub(super) struct Connector {
    uri: AMQPUri,
    ca: Option<String>,
    name: String,
    /// The timeout of an attempt to connect.
    connecting: Duration,
    limit: Duration,
    pub(super) log: BrokerLog,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// The broker refused user, password or virtual host.
    Refused(String),
    /// The broker's certificate is not trusted.
    Untrusted(String),
    /// The broker cannot be reached; connecting again may succeed.
    Unavailable(String),
}

impl Connector {
    /// Parses the address and reads the certificate authority.
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
                reason: format!(
                    "cannot read the certificate authority {}: {error}",
                    file.display()
                ),
            })?),
        };
        let log = BrokerLog::new(format!(
            "{}:{}/{}",
            uri.authority.host, uri.authority.port, uri.vhost
        ));
        Ok(Self {
            uri,
            ca,
            name: options.connection_name.clone(),
            connecting: options.connect_timeout,
            limit: options.request_timeout,
            log,
        })
    }

    /// The user that the broker authenticates.
    pub(super) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// The timeout of a request to the broker.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Opens a connection without lapin's automatic recovery. `role` is appended to the connection's name.
    pub(super) async fn open(&self, role: &str) -> Result<Connection, ConnectError> {
        let properties =
            ConnectionProperties::default().with_connection_name(format!("{} {role}", self.name).into());
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: self.ca.clone(),
        };
        let connecting =
            Connection::connect_uri_with_config(self.uri.clone(), properties, tls, Runtime::tokio_current());
        match timeout(self.connecting, connecting).await {
            Ok(connected) => connected.map_err(|error| ConnectError::of(&error)),
            Err(_) => Err(ConnectError::Unavailable(format!(
                "no answer within {:?}",
                self.connecting
            ))),
        }
    }
}

impl ConnectError {
    fn of(error: &lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(said) if matches!(said.get_id(), ACCESS_REFUSED | NOT_ALLOWED) => {
                Self::Refused(said.get_message().to_string())
            }
            ErrorKind::IOError(said) if said.to_string().contains("certificate") => {
                Self::Untrusted(said.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }

    /// The error to return from the first attempt to connect; `None` if a later attempt may succeed.
    pub(super) fn permanent(&self) -> Option<BusError> {
        match self {
            Self::Refused(reason) => Some(BusError::Refused {
                reason: reason.clone(),
            }),
            Self::Untrusted(reason) => Some(BusError::Untrusted {
                reason: reason.clone(),
            }),
            Self::Unavailable(_) => None,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.permanent(), self) {
            (Some(error), _) => error.fmt(f),
            (None, Self::Unavailable(reason) | Self::Refused(reason) | Self::Untrusted(reason)) => {
                f.write_str(reason)
            }
        }
    }
}
