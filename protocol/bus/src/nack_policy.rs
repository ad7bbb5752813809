//! What to do when the broker refuses a message (a negative confirm): pure, so that it can be read at a glance.

use lockstep_protocol::topology::Destination;

/// What to do about a refused message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NackPolicy {
    /// Publish it again after a back-off.
    Again,
    /// Send it to the results instead: the requester does not read its queue.
    Bypass,
    /// Tell the caller that the queue is full.
    Surface,
}

/// How often a message is refused before something else is done about it.
const PATIENCE: u32 = 3;

/// The rule: answers bypass a reply queue that is full, the outside is told that an inlet is full, and what workers
/// publish among themselves is never given up, since those queues have no length and the refusal has another reason.
pub(crate) fn nack_policy(destination: &Destination, times: u32) -> NackPolicy {
    if times < PATIENCE {
        return NackPolicy::Again;
    }
    match destination {
        Destination::Reply(_) => NackPolicy::Bypass,
        Destination::Ingress(_) | Destination::Type(_) => NackPolicy::Surface,
        Destination::Lane(_) | Destination::Delay(..) | Destination::Results(_) => NackPolicy::Again,
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::Kind;
    use lockstep_protocol::topology::{Lane, ReplyQueue, RetryDelay};

    use super::*;

    #[test]
    fn patience_ends_differently_for_each_destination() {
        let reply = Destination::Reply(ReplyQueue::of("netbox", "1").unwrap());
        let ingress = Destination::Ingress(Kind::InterfaceUpdated);
        let table = [
            (&reply, 2, NackPolicy::Again),
            (&reply, 3, NackPolicy::Bypass),
            (&ingress, 2, NackPolicy::Again),
            (&ingress, 3, NackPolicy::Surface),
            (&Destination::Lane(Lane::Devices), 1000, NackPolicy::Again),
            (
                &Destination::Delay(RetryDelay::Seconds5, Lane::Events),
                1000,
                NackPolicy::Again,
            ),
            (&Destination::Lane(Lane::Dead), 1000, NackPolicy::Again),
            (&Destination::Results(Kind::EventApplied), 1000, NackPolicy::Again),
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
