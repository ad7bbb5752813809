use super::{DEAD, EVENTS, Lane, REPLIES, RESULTS, ReplyQueue, RetryDelay, UNROUTED, WORK};
use crate::Kind;

/// A queue somebody reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// A lane's queue.
    Lane(Lane),
    /// Results for nobody in particular.
    Results,
    /// What no binding wanted.
    Unrouted,
    /// Answers for one requester, who declares it by reading it.
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

/// Where a message is published to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To whichever lane takes messages of this type: events and commands from the outside.
    Ingress(Kind),
    /// To whichever lane takes messages of this type, if any: text from the outside that may be no known type.
    Type(String),
    /// Straight to a lane: follow-up work.
    Lane(Lane),
    /// To a lane, later: a retry.
    Delay(RetryDelay, Lane),
    /// To the dead letters.
    Dead,
    /// To whoever asked; falls through to the results if nobody listens.
    Reply(ReplyQueue),
    /// To the results, for nobody in particular.
    Results(Kind),
}

impl Destination {
    /// The exchange.
    pub fn exchange(&self) -> &'static str {
        match self {
            Self::Ingress(_) | Self::Type(_) => EVENTS,
            Self::Lane(_) => WORK,
            Self::Delay(delay, _) => delay.exchange(),
            Self::Dead => DEAD,
            Self::Reply(_) => REPLIES,
            Self::Results(_) => RESULTS,
        }
    }

    /// The routing key.
    pub fn routing_key(&self) -> &str {
        match self {
            Self::Ingress(kind) | Self::Results(kind) => kind.as_str(),
            Self::Type(text) => text,
            Self::Lane(lane) | Self::Delay(_, lane) => lane.as_str(),
            Self::Dead => "",
            Self::Reply(reply) => reply.as_str(),
        }
    }
}
