use std::sync::Arc;

use lockstep_bus::{BusError, PublishError};
use lockstep_protocol::{Identity, Kind};

/// Why a message was not published, or no result was received.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// The broker cannot be used with these options.
    #[error("cannot use the broker")]
    Connect(#[source] BusError),
    /// The reply queue cannot be used.
    #[error(
        "cannot consume the reply queue; check that the broker user has permission for its own reply queues"
    )]
    Replies(#[source] BusError),
    /// The broker refused the message.
    #[error("the message was not published")]
    Publish(#[source] Arc<PublishError>),
    /// The broker did not confirm in time. The outcome is unknown: publish the same envelope again.
    #[error("the broker did not confirm {identity} in time; publish the same envelope again")]
    Timeout {
        /// The identity of the message.
        identity: Identity,
    },
    /// No result arrived in time. The broker has the message; request again with the same envelope.
    #[error(
        "no result for {identity} arrived in time; the broker has the message, request again with the same envelope"
    )]
    NoResult {
        /// The identity of the message.
        identity: Identity,
    },
    /// Only workers publish results and internal messages.
    #[error("{kind} is a type of {}s, which only workers publish; publish events and commands", kind.class())]
    NotPublishable {
        /// The type of the message.
        kind: Kind,
    },
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
}

impl ProducerError {
    /// Whether trying again with the same envelope may succeed.
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::NoResult { .. } => true,
            Self::Publish(error) => matches!(**error, PublishError::Full { .. }),
            Self::Connect(_) | Self::Replies(_) | Self::NotPublishable { .. } | Self::Closed => false,
        }
    }
}
