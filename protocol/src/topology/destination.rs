use super::{EVENTS, Lane, REPLIES, RESULTS, ReplyQueue, RetryDelay, UNROUTED, WORK};
use crate::Kind;

/// A queue that can be consumed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// The queue of a lane.
    Lane(Lane),
    /// Results without a reply queue.
    Results,
    /// Messages that no binding matched.
    Unrouted,
    /// Replies to one requester. Consuming it declares it.
    Reply(ReplyQueue),
}

impl Queue {
    /// The queue's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Lane(lane) => lane.queue(),
            Self::Results => RESULTS,
            Self::Unrouted => UNROUTED,
            Self::Reply(reply) => reply.as_str(),
        }
    }
}

/// The exchange and routing key to publish a message with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// The ingress lane of this message type: events and commands from clients.
    Ingress(Kind),
    /// The ingress lane of a type that may be unknown; messages of unknown types become unrouted.
    Type(String),
    /// Directly to a lane: follow-up work.
    Lane(Lane),
    /// To a lane after a retry delay.
    Delay(RetryDelay, Lane),
    /// To the requester's reply queue; to the results if that queue does not exist.
    Reply(ReplyQueue),
    /// To the results, for messages without a reply queue.
    Results(Kind),
}

impl Destination {
    /// The exchange to publish to.
    pub fn exchange(&self) -> &'static str {
        match self {
            Self::Ingress(_) | Self::Type(_) => EVENTS,
            Self::Lane(_) => WORK,
            Self::Delay(delay, _) => delay.exchange(),
            Self::Reply(_) => REPLIES,
            Self::Results(_) => RESULTS,
        }
    }

    /// The routing key to publish with.
    pub fn routing_key(&self) -> &str {
        match self {
            Self::Ingress(kind) | Self::Results(kind) => kind.as_str(),
            Self::Type(text) => text,
            Self::Lane(lane) | Self::Delay(_, lane) => lane.as_str(),
            Self::Reply(reply) => reply.as_str(),
        }
    }
}
