#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

mod error;
#[cfg(feature = "gateway")]
pub mod gateway;
mod options;
mod pipeline;
mod replies;

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_bus::amqp::AmqpBus;
use lockstep_bus::{Bus, Outgoing, Properties};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Envelope, Identity, Message};

pub use error::ProducerError;
pub use lockstep_protocol as protocol;
pub use options::ProducerOptions;

use pipeline::Pipeline;
use replies::Replies;

/// Publishes events and commands, and waits for their results. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub struct Producer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bus: Arc<dyn Bus>,
    options: ProducerOptions,
    pipeline: Pipeline,
    replies: tokio::sync::OnceCell<Replies>,
}

impl Producer {
    /// Connects to the broker. If it cannot be reached yet, publishing waits for it.
    ///
    /// # Errors
    /// When the address is invalid, or the broker refuses user, password or virtual host.
    pub async fn connect(options: ProducerOptions) -> Result<Self, ProducerError> {
        let bus = AmqpBus::connect(options.amqp())
            .await
            .map_err(ProducerError::Connect)?;
        Ok(Self::over(bus, options))
    }

    /// Creates a producer on an existing bus.
    pub fn over(bus: Arc<dyn Bus>, options: ProducerOptions) -> Self {
        let pipeline = Pipeline::start(bus.clone(), options.in_flight);
        let replies = tokio::sync::OnceCell::new();
        Self {
            shared: Arc::new(Shared {
                bus,
                options,
                pipeline,
                replies,
            }),
        }
    }

    /// Publishes an event or a command with a new id, and returns its identity after the broker confirmed it.
    ///
    /// # Errors
    /// See [`ProducerError`]. After [`ProducerError::Timeout`] the outcome is unknown. To be able to publish the same message
    /// again, use [`Self::envelope`] and [`Self::publish_envelope`] instead.
    pub async fn publish(&self, message: impl Into<Message>) -> Result<Identity, ProducerError> {
        self.publish_envelope(&self.envelope(message)).await
    }

    /// Creates an envelope with a new id, this producer's source and the current time. Keep it until it is confirmed.
    #[expect(
        clippy::disallowed_methods,
        reason = "a producer is used outside of the worker and its clock"
    )]
    pub fn envelope(&self, message: impl Into<Message>) -> Envelope {
        Envelope::new(self.shared.options.source.clone(), Timestamp::now(), message)
    }

    /// Publishes an envelope unchanged. Publishing it twice has no second effect, since it is the same message.
    ///
    /// # Errors
    /// See [`ProducerError`].
    pub async fn publish_envelope(&self, envelope: &Envelope) -> Result<Identity, ProducerError> {
        self.send(envelope, None).await
    }

    /// Publishes a message and waits for the result of the worker.
    ///
    /// # Errors
    /// See [`ProducerError`]. If the message is rejected, that is its result and not an error.
    pub async fn request(&self, message: impl Into<Message>) -> Result<Envelope, ProducerError> {
        self.request_envelope(&self.envelope(message)).await
    }

    /// Publishes an envelope and waits for its result. Another request with the same envelope returns the same result.
    ///
    /// # Errors
    /// See [`ProducerError`].
    pub async fn request_envelope(&self, envelope: &Envelope) -> Result<Envelope, ProducerError> {
        let shared = &self.shared;
        let replies = shared
            .replies
            .get_or_try_init(|| Replies::start(shared.bus.clone()))
            .await?;
        let waiting = replies.expect(&envelope.identity.id);
        self.send(envelope, Some(replies.queue().as_str())).await?;
        let result = tokio::time::timeout(shared.options.result_timeout, waiting.result()).await;
        result.map_err(|_| ProducerError::NoResult {
            identity: envelope.identity.clone(),
        })?
    }

    /// Waits until all messages are confirmed, and closes the connections.
    pub async fn close(self) {
        self.shared.pipeline.drain().await;
        self.shared.bus.close().await;
    }

    async fn send(&self, envelope: &Envelope, reply_to: Option<&str>) -> Result<Identity, ProducerError> {
        let kind = envelope.message.kind();
        if kind.ingress().is_none() {
            return Err(ProducerError::NotPublishable { kind });
        }
        let outgoing = Outgoing {
            destination: Destination::Ingress(kind),
            properties: Properties {
                message_id: Some(envelope.identity.id.clone().into()),
                kind: Some(kind.as_str().into()),
                content_type: Some(CONTENT_TYPE.into()),
                correlation_id: Some(envelope.identity.id.clone().into()),
                reply_to: reply_to.map(Into::into),
                timestamp: envelope.time,
                ..Properties::default()
            },
            body: envelope.encode().into(),
        };
        let sending = self.shared.pipeline.publish(outgoing);
        match tokio::time::timeout(self.shared.options.publish_timeout, sending).await {
            Ok(Ok(())) => Ok(envelope.identity.clone()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ProducerError::Timeout {
                identity: envelope.identity.clone(),
            }),
        }
    }
}
