//! Decides what to do when the broker refuses a message with a nack. Pure.

use lockstep_protocol::topology::Destination;

/// What to do about a refused message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NackPolicy {
    /// Publish it again after a back-off.
    Retry,
    /// Send it to the results instead, since the requester does not read its reply queue.
    Bypass,
    /// Return [`PublishError::Full`](crate::PublishError::Full) to the caller.
    Fail,
}

/// After this many refusals replies are bypassed, and publishing to an ingress lane fails.
const MAX_REFUSALS: u32 = 3;

/// The policy for a message that was refused `times` times. Replies bypass a full reply queue, and clients get an error if
/// an ingress lane is full. Messages between workers are retried without limit: their queues have no maximum length, so
/// the refusal has a reason that passes.
pub(crate) fn nack_policy(destination: &Destination, times: u32) -> NackPolicy {
    if times < MAX_REFUSALS {
        return NackPolicy::Retry;
    }
    match destination {
        Destination::Reply(_) => NackPolicy::Bypass,
        Destination::Ingress(_) | Destination::Type(_) => NackPolicy::Fail,
        Destination::Lane(_) | Destination::Delay(..) | Destination::Results(_) => NackPolicy::Retry,
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::Kind;
    use lockstep_protocol::topology::{Lane, ReplyQueue, RetryDelay};

    use super::*;

    #[test]
    fn the_policy_depends_on_destination_and_number_of_refusals() {
        let reply = Destination::Reply(ReplyQueue::of("netbox", "1").unwrap());
        let ingress = Destination::Ingress(Kind::InterfaceUpdated);
        let table = [
            (&reply, 2, NackPolicy::Retry),
            (&reply, 3, NackPolicy::Bypass),
            (&ingress, 2, NackPolicy::Retry),
            (&ingress, 3, NackPolicy::Fail),
            (&Destination::Lane(Lane::Devices), 1000, NackPolicy::Retry),
            (
                &Destination::Delay(RetryDelay::Seconds5, Lane::Events),
                1000,
                NackPolicy::Retry,
            ),
            (&Destination::Lane(Lane::Dead), 1000, NackPolicy::Retry),
            (&Destination::Results(Kind::EventApplied), 1000, NackPolicy::Retry),
        ];
        for (destination, times, expected) in table {
            assert_eq!(
                nack_policy(destination, times),
                expected,
                "{destination:?} {times}"
            );
        }
    }
}
