//! What to do when the broker refuses a message (a negative confirm): pure, so that it can be read at a glance.

use lockstep_protocol::topology::Destination;

/// What to do about a refused message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
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
pub(crate) fn on_refusal(destination: &Destination, times: u32) -> Refusal {
    if times < PATIENCE {
        return Refusal::Again;
    }
    match destination {
        Destination::Reply(_) => Refusal::Bypass,
        Destination::Inlet(_) | Destination::Type(_) => Refusal::Surface,
        Destination::Lane(_) | Destination::Delay(..) | Destination::Dead | Destination::Results(_) => {
            Refusal::Again
        }
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::Kind;
    use lockstep_protocol::topology::{Lane, ReplyQueue, Rung};

    use super::*;

    #[test]
    fn patience_ends_differently_for_each_destination() {
        let reply = Destination::Reply(ReplyQueue::of("netbox", "1").unwrap());
        let inlet = Destination::Inlet(Kind::InterfaceUpdated);
        let table = [
            (&reply, 2, Refusal::Again),
            (&reply, 3, Refusal::Bypass),
            (&inlet, 2, Refusal::Again),
            (&inlet, 3, Refusal::Surface),
            (&Destination::Lane(Lane::Devices), 1000, Refusal::Again),
            (
                &Destination::Delay(Rung::Seconds5, Lane::Events),
                1000,
                Refusal::Again,
            ),
            (&Destination::Dead, 1000, Refusal::Again),
            (&Destination::Results(Kind::EventApplied), 1000, Refusal::Again),
        ];
        for (destination, times, expected) in table {
            assert_eq!(
                on_refusal(destination, times),
                expected,
                "{destination:?} {times}"
            );
        }
    }
}
