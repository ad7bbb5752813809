use std::sync::Arc;

use lockstep_bus::{BusError, PublishError};
use lockstep_protocol::{Identity, Kind};

/// Why a message was not published, or its result not seen.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// The broker cannot be used with these options.
    #[error("cannot use the broker")]
    Connect(#[source] BusError),
    /// The reply queue cannot be used.
    #[error("cannot read results; does the broker allow this user its own reply queue?")]
    Replies(#[source] BusError),
    /// The broker does not take the message, and waiting does not change that.
    #[error("the message was not published")]
    Publish(#[source] Arc<PublishError>),
    /// The broker did not confirm in time. The outcome is not known: publish the same envelope again.
    #[error("the broker did not confirm {identity} in time; publish the same envelope again")]
    Timeout {
        /// The message.
        identity: Identity,
    },
    /// No result came in time. The message is safe with the broker; ask again with the same envelope.
    #[error(
        "no result for {identity} in time; the message is safe with the broker, ask again with the same envelope"
    )]
    NoResult {
        /// The message.
        identity: Identity,
    },
    /// Only workers publish results and internal messages.
    #[error("{kind} is a type of {}s, which only workers publish; publish events and commands", kind.class())]
    NotPublishable {
        /// The type.
        kind: Kind,
    },
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
}

impl ProducerError {
    /// Whether doing the same again, with the same envelope, may succeed.
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::NoResult { .. } => true,
            Self::Publish(error) => matches!(**error, PublishError::Full { .. }),
            Self::Connect(_) | Self::Replies(_) | Self::NotPublishable { .. } | Self::Closed => false,
        }
    }
}
