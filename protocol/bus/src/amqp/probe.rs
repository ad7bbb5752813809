//! Asks the broker what a user may do, without doing it: no message is published, taken or moved.

use std::fmt;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ErrorKind};
use tokio::time::timeout;

use super::connector::Dial;
use super::options::AmqpOptions;
use super::supervised_connection::CLOSING;
use crate::BusError;

/// What lapin calls a channel that the broker closed a moment ago.
const CLOSED: &str = "invalid channel state";

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
/// What the broker calls an argument it does not take.
const BAD_ARGUMENT: &str = "PRECONDITION_FAILED";

/// What the broker says to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Granted,
    /// It has no right to.
    Refused {
        /// What the broker said.
        reason: String,
    },
    /// There is no such exchange or queue.
    Missing,
    /// The broker said neither yes nor no.
    Unknown {
        /// What happened.
        reason: String,
    },
}

/// A queue, as whoever may connect sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFigures {
    /// How many messages wait.
    pub messages: u32,
    /// How many consumers read it.
    pub consumers: u32,
}

/// Why there is no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The address, the login or the certificate is not good.
    #[error(transparent)]
    Refused(#[from] BusError),
    /// The broker does not answer.
    #[error("the broker does not answer: {reason}")]
    Away {
        /// What happened.
        reason: String,
    },
}

/// One connection to ask on. Each question has a channel of its own, since the broker answers many by closing it.
pub struct AmqpProbe {
    connection: Connection,
    user: String,
    limit: Duration,
}

impl AmqpProbe {
    /// Connects once; nothing is tried again.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn connect(options: &AmqpOptions) -> Result<Self, ProbeError> {
        let dial = Dial::new(options)?;
        let connection = dial.open("probing").await.map_err(|error| {
            error.permanent().map_or_else(
                || ProbeError::Away {
                    reason: error.to_string(),
                },
                ProbeError::Refused,
            )
        })?;
        Ok(Self {
            connection,
            user: dial.user().to_owned(),
            limit: dial.limit(),
        })
    }

    /// Whom the broker authenticated.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the user may publish there. A message is published within a transaction that is rolled back: the broker checks
    /// the right, and routes nothing.
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
            // The refusal came before the rollback waited for it, and then nobody is told what it said.
            Access::Unknown { reason } if reason.starts_with(CLOSED) => match self.exchange(exchange).await {
                Access::Granted | Access::Refused { .. } => Access::Refused { reason },
                other => other,
            },
            answer => answer,
        }
    }

    /// Whether the user may read a queue. The broker checks the right first and then an argument that is wrong on purpose, so no
    /// consumer begins.
    pub async fn may_consume(&self, queue: &str) -> Access {
        let mut arguments = FieldTable::default();
        arguments.insert("x-priority".into(), AMQPValue::LongString("none".into()));
        let answer = self
            .ask(async |channel: &Channel| {
                let options = BasicConsumeOptions::default();
                let consumer = channel
                    .basic_consume(queue.into(), "".into(), options, arguments)
                    .await?;
                // A broker that minds nothing: what it delivers goes back with the channel.
                drop(consumer);
                Ok(())
            })
            .await;
        match answer {
            Access::Unknown { reason } if reason.starts_with(BAD_ARGUMENT) => Access::Granted,
            other => other,
        }
    }

    /// Whether there is such an exchange.
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

    /// A queue's figures.
    ///
    /// # Errors
    /// What the broker says instead; never [`Access::Granted`].
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

    /// Ends the connection.
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
