//! The settlements of a message: a closed set of outcomes.

use std::sync::Arc;

use lockstep_protocol::topology::{Lane, RetryDelay};
use lockstep_store::InboxRow;

/// The settlement of a message. Everything that the message causes is published before the message is acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// It is applied, now or before: the result is published, then the follow-ups it caused.
    Applied(Arc<InboxRow>),
    /// It is dead-lettered, now or before: the result is published.
    Dead(Arc<InboxRow>),
    /// It is refused, now or before: the result is published to its sender, who waits for it, and there is no dead letter.
    Refused(Arc<InboxRow>),
    /// A copy comes back later as this attempt.
    Retry {
        /// How long it waits in the broker.
        delay: RetryDelay,
        /// Which attempt comes next.
        attempt: u32,
        /// Why this one failed.
        reason: String,
    },
    /// A copy goes to the lane to which the message belongs.
    Forward {
        /// The lane.
        lane: Lane,
    },
    /// A copy comes back later, without an attempt spent.
    Postpone {
        /// How long it waits in the broker.
        delay: RetryDelay,
    },
    /// It waits in its row in the store, which has the time of its next publication. Nothing is published now.
    Waiting,
    /// A claimant took it over: a row in the store says who does its work. Nothing is published now.
    Claimed,
}
