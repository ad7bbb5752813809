use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::topology::Destination;

/// Headers of our own, as text. On deliveries that did not come through `lockstep.work` anybody may have written them.
pub type Headers = BTreeMap<String, String>;

/// What stands beside a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The message's id, which is the `id` of its envelope.
    pub message_id: Option<String>,
    /// The message's type, which is the `type` of its envelope.
    pub kind: Option<String>,
    /// The media type of the body.
    pub content_type: Option<String>,
    /// What an answer refers to: the id of the message it answers.
    pub correlation_id: Option<String>,
    /// The reply queue answers should go to.
    pub reply_to: Option<String>,
    /// Who published it, as validated by the broker. Set by the bus when publishing.
    pub user_id: Option<String>,
    /// When it was published, in whole seconds.
    pub timestamp: Option<Timestamp>,
    /// Headers.
    pub headers: Headers,
}

/// A message to publish. Always persistent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub destination: Destination,
    /// What stands beside the body; `user_id` is set by the bus.
    pub properties: Properties,
    /// The body.
    pub body: Bytes,
}

/// A message taken from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The body.
    pub body: Bytes,
    /// What stands beside it.
    pub properties: Properties,
    /// The exchange it was published to last.
    pub exchange: String,
    /// The key it was published with.
    pub routing_key: String,
    /// Whether it was delivered before.
    pub redelivered: bool,
}
