use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::SmolStr;
#[cfg(any(feature = "amqp", feature = "embedded"))]
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::topology::Destination;

#[cfg(any(feature = "amqp", feature = "embedded"))]
use crate::PublishError;

/// Message headers as text. Trust them only on deliveries from `lockstep.work`, where only workers publish: elsewhere any
/// client may have set them.
pub type Headers = BTreeMap<String, String>;

/// The AMQP properties of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The id of the message, equal to the `id` of its envelope.
    pub message_id: Option<SmolStr>,
    /// The type of the message, equal to the `type` of its envelope.
    pub kind: Option<SmolStr>,
    /// The media type of the body.
    pub content_type: Option<SmolStr>,
    /// On replies, the id of the message they reply to.
    pub correlation_id: Option<SmolStr>,
    /// The reply queue for results.
    pub reply_to: Option<SmolStr>,
    /// The publisher, as validated by the broker. The bus sets it when publishing.
    pub user_id: Option<SmolStr>,
    /// The sender's timestamp, in whole seconds.
    pub timestamp: Option<Timestamp>,
    /// The headers.
    pub headers: Headers,
}

/// A message to publish. All messages are persistent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to publish it.
    pub destination: Destination,
    /// The properties; the bus replaces `user_id`.
    pub properties: Properties,
    /// The body.
    pub body: Bytes,
}

#[cfg(any(feature = "amqp", feature = "embedded"))]
impl Outgoing {
    /// Refuses a message that no receiver would accept.
    ///
    /// # Errors
    /// [`PublishError::TooLarge`] if its body is larger than [`MAX_BODY_BYTES`].
    pub(crate) fn check_size(&self) -> Result<(), PublishError> {
        if self.body.len() <= MAX_BODY_BYTES {
            return Ok(());
        }
        Err(self.too_large(format!("a body may have {MAX_BODY_BYTES} bytes")))
    }

    pub(crate) fn too_large(&self, reason: String) -> PublishError {
        PublishError::TooLarge {
            size: self.body.len(),
            exchange: self.destination.exchange().to_owned(),
            routing_key: self.destination.routing_key().to_owned(),
            reason,
        }
    }
}

/// A message taken from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The body.
    pub body: Bytes,
    /// The properties.
    pub properties: Properties,
    /// The exchange the message was last published to. Dead-lettering counts as publishing.
    pub exchange: String,
    /// The routing key the message was published with.
    pub routing_key: String,
    /// Whether the message may have been delivered before.
    pub redelivered: bool,
}
