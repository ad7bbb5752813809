//! Checks a user's permissions at the broker without side effects: no message is published, consumed or moved.

use std::fmt;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ErrorKind};
use tokio::time::timeout;

use super::connector::Connector;
use super::options::AmqpOptions;
use super::supervised_connection::CLOSING;
use crate::{BusError, QueueFigures};

/// The beginning of lapin's error for an operation on a channel that the broker has just closed.
const CLOSED: &str = "invalid channel state";

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
/// The beginning of the broker's error for an invalid argument.
const BAD_ARGUMENT: &str = "PRECONDITION_FAILED";

/// The result of a permission check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The user has the permission.
    Granted,
    /// The user does not have the permission.
    Refused {
        /// The broker's error text.
        reason: String,
    },
    /// The exchange or queue does not exist.
    Missing,
    /// The check failed for another reason.
    Unknown {
        /// The error.
        reason: String,
    },
}

/// Why the broker could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The address, the login or the certificate is invalid.
    #[error(transparent)]
    Refused(#[from] BusError),
    /// The broker cannot be reached.
    #[error("the broker cannot be reached: {reason}")]
    Unavailable {
        /// The error.
        reason: String,
    },
}

/// A connection for permission checks. Each check opens its own channel, since the broker closes the channel on refusal.
pub struct AmqpProbe {
    connection: Connection,
    user: String,
    limit: Duration,
}

impl AmqpProbe {
    /// Connects, without retries.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn connect(options: &AmqpOptions) -> Result<Self, ProbeError> {
        let connector = Connector::new(options)?;
        let connection = connector.open("probing").await.map_err(|error| {
            error.permanent().map_or_else(
                || ProbeError::Unavailable {
                    reason: error.to_string(),
                },
                ProbeError::Refused,
            )
        })?;
        Ok(Self {
            connection,
            user: connector.user().to_owned(),
            limit: connector.limit(),
        })
    }

    /// The user that the broker authenticated.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Checks whether the user may publish. Publishes a message in an AMQP transaction and rolls it back: the broker checks
    /// the permission and routes nothing.
    pub async fn may_publish(&self, exchange: &str, routing_key: &str) -> Access {
        let question = async |channel: &Channel| {
            channel.tx_select().await?;
            let published = channel
                .basic_publish(
                    exchange.into(),
                    routing_key.into(),
                    BasicPublishOptions::default(),
                    b"",
                    BasicProperties::default(),
                )
                .await?;
            drop(published);
            channel.tx_rollback().await
        };
        match self.ask(question).await {
            // The refusal arrived before the rollback was sent, and lapin lost its text.
            Access::Unknown { reason } if reason.starts_with(CLOSED) => match self.exchange(exchange).await {
                Access::Granted | Access::Refused { .. } => Access::Refused { reason },
                other => other,
            },
            answer => answer,
        }
    }

    /// Checks whether the user may consume a queue. The broker checks the permission first, and then refuses an argument that
    /// is invalid on purpose, so no consumer starts.
    pub async fn may_consume(&self, queue: &str) -> Access {
        let mut arguments = FieldTable::default();
        arguments.insert("x-priority".into(), AMQPValue::LongString("none".into()));
        let answer = self
            .ask(async |channel: &Channel| {
                let options = BasicConsumeOptions::default();
                let consumer = channel
                    .basic_consume(queue.into(), "".into(), options, arguments)
                    .await?;
                // The broker accepted the invalid argument; closing the channel requeues what it delivered.
                drop(consumer);
                Ok(())
            })
            .await;
        match answer {
            Access::Unknown { reason } if reason.starts_with(BAD_ARGUMENT) => Access::Granted,
            other => other,
        }
    }

    /// Checks whether an exchange exists.
    pub async fn exchange(&self, exchange: &str) -> Access {
        self.ask(async |channel: &Channel| {
            let options = ExchangeDeclareOptions {
                passive: true,
                ..ExchangeDeclareOptions::default()
            };
            let kind = lapin::ExchangeKind::default();
            channel
                .exchange_declare(exchange.into(), kind, options, FieldTable::default())
                .await
        })
        .await
    }

    /// The statistics of a queue.
    ///
    /// # Errors
    /// Why there are none; never [`Access::Granted`].
    pub async fn queue(&self, queue: &str) -> Result<QueueFigures, Access> {
        let mut figures = None;
        let answer = self
            .ask(async |channel: &Channel| {
                let options = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                let declared = channel
                    .queue_declare(queue.into(), options, FieldTable::default())
                    .await?;
                figures = Some(QueueFigures {
                    messages: declared.message_count(),
                    consumers: declared.consumer_count(),
                });
                Ok(())
            })
            .await;
        figures.ok_or(answer)
    }

    /// Closes the connection.
    pub async fn close(self) {
        let _ = timeout(CLOSING, self.connection.close(200, "asked".into())).await;
    }

    async fn ask(&self, question: impl AsyncFnOnce(&Channel) -> lapin::Result<()>) -> Access {
        let asked = async {
            let channel = self.connection.create_channel().await?;
            let answer = question(&channel).await;
            let _ = timeout(CLOSING, channel.close(200, "asked".into())).await;
            answer
        };
        match timeout(self.limit, asked).await {
            Ok(Ok(())) => Access::Granted,
            Ok(Err(error)) => Access::of(&error),
            Err(_) => Access::Unknown {
                reason: format!("no answer within {:?}", self.limit),
            },
        }
    }
}

impl Access {
    fn of(error: &lapin::Error) -> Self {
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return Self::Unknown {
                reason: error.to_string(),
            };
        };
        let reason = said.get_message().to_string();
        match said.get_id() {
            ACCESS_REFUSED => Self::Refused { reason },
            NOT_FOUND => Self::Missing,
            _ => Self::Unknown { reason },
        }
    }
}

impl fmt::Debug for AmqpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpProbe")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
