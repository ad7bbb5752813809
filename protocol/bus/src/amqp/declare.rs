//! Declares exchanges, queues and bindings.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind};
use lockstep_protocol::topology::{
    Argument, Binding, ExchangeDeclaration, ExchangeKind, QueueDeclaration, REPLIES, REPLY_EXPIRES,
    ReplyQueue, Topology,
};
use tokio::time::timeout;

use crate::{BusError, QueueFigures};

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

/// The most replies in one reply queue. Further ones go to the results.
const REPLY_MAX_LENGTH: i64 = 10_000;

/// Why an object was not declared.
#[derive(Debug)]
pub(super) enum DeclareError {
    /// The broker refused.
    Refused(BusError),
    /// The channel or the connection is lost, or the broker did not respond in time. Trying again may succeed.
    Lost(String),
}

/// Declares all objects on this channel. `limit` is the timeout of each declaration.
pub(super) async fn topology(
    channel: &Channel,
    topology: &Topology,
    limit: Duration,
) -> Result<(), DeclareError> {
    for exchange in &topology.exchanges {
        let declared = declare_exchange(channel, exchange);
        within(limit, || format!("exchange {}", exchange.name), declared).await?;
    }
    for queue in &topology.queues {
        let declared = declare_queue(channel, queue);
        within(limit, || format!("queue {}", queue.name), declared).await?;
    }
    for binding in &topology.bindings {
        let name = || {
            let Binding { exchange, queue, key } = binding;
            format!("binding of {queue} to {exchange} with key {key:?}")
        };
        within(
            limit,
            name,
            bind(channel, binding.exchange, binding.queue, binding.key),
        )
        .await?;
    }
    Ok(())
}

/// The statistics of a queue; `None` if it does not exist, and then the broker closes the channel.
pub(super) async fn queue_figures(
    channel: &Channel,
    name: &str,
    limit: Duration,
) -> Result<Option<QueueFigures>, DeclareError> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::durable()
    };
    let asked = channel.queue_declare(name.into(), passive, FieldTable::default());
    let asked = async { Ok(asked.await) };
    let error = match within(limit, || format!("queue {name}"), asked).await? {
        Ok(declared) => {
            return Ok(Some(QueueFigures {
                messages: declared.message_count(),
                consumers: declared.consumer_count(),
            }));
        }
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::ProtocolError(said) if said.get_id() == NOT_FOUND => Ok(None),
        _ => Err(DeclareError::of(format!("queue {name}"), &error)),
    }
}

/// Declares a reply queue and binds it with its own name as the key.
pub(super) async fn reply_queue(
    channel: &Channel,
    queue: &ReplyQueue,
    limit: Duration,
) -> Result<(), DeclareError> {
    let name = queue.as_str();
    let expires = i64::try_from(REPLY_EXPIRES.as_millis()).unwrap_or(i64::MAX);
    let mut arguments = FieldTable::default();
    // The type is explicit, since a virtual host may have another default type. Replies do not need a quorum queue: the store
    // keeps every outcome.
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(expires));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(REPLY_MAX_LENGTH));
    arguments.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    let declared = async {
        channel
            .queue_declare(name.into(), QueueDeclareOptions::durable(), arguments)
            .await
            .map(drop)
    };
    within(limit, || format!("queue {name}"), declared).await?;
    let what = || format!("binding of {name} to {REPLIES}");
    within(limit, what, bind(channel, REPLIES, name, name)).await
}

async fn declare_exchange(channel: &Channel, exchange: &ExchangeDeclaration) -> lapin::Result<()> {
    let kind = match exchange.kind {
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
        ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
        ExchangeKind::Topic => lapin::ExchangeKind::Topic,
    };
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    if let Some(alternate) = exchange.alternate {
        arguments.insert(
            "alternate-exchange".into(),
            AMQPValue::LongString(alternate.into()),
        );
    }
    channel
        .exchange_declare(exchange.name.into(), kind, options, arguments)
        .await
}

async fn declare_queue(channel: &Channel, queue: &QueueDeclaration) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    for (name, value) in &queue.arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString((*text).into()),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
        };
        arguments.insert((*name).into(), value);
    }
    channel
        .queue_declare(queue.name.into(), QueueDeclareOptions::durable(), arguments)
        .await
        .map(drop)
}

async fn bind(channel: &Channel, exchange: &str, queue: &str, key: &str) -> lapin::Result<()> {
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

async fn within<T>(
    limit: Duration,
    object: impl FnOnce() -> String,
    declared: impl Future<Output = lapin::Result<T>>,
) -> Result<T, DeclareError> {
    match timeout(limit, declared).await {
        Ok(Ok(declared)) => Ok(declared),
        Ok(Err(error)) => Err(DeclareError::of(object(), &error)),
        Err(_) => Err(DeclareError::Lost(format!("no answer within {limit:?}"))),
    }
}

impl DeclareError {
    fn of(object: String, error: &lapin::Error) -> Self {
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return Self::Lost(error.to_string());
        };
        let advice = match said.get_id() {
            ACCESS_REFUSED => {
                "declare it as a user with configure permission, or give this user the permission"
            }
            NOT_FOUND => "declare the objects it refers to first",
            PRECONDITION_FAILED => {
                "it exists with other arguments: drain and delete it, then declare it again; \
                 change limits with policies, not with arguments"
            }
            _ if error.is_amqp_soft_error() => "the broker refused it",
            _ => return Self::Lost(error.to_string()),
        };
        Self::Refused(BusError::Declare {
            object,
            reason: format!("{} ({advice})", said.get_message()),
        })
    }
}
