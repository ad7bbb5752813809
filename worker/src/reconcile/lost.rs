use lockstep_bus::{Bus, QueueFigures};
use lockstep_protocol::topology::Lane;
use lockstep_store::FollowUps;

use super::RepairError;

/// Makes the published follow-ups of each lane due whose queue has neither messages nor consumers, or does not exist: what was published to
/// it is gone, such as with a broker that was installed again. Returns how many these are.
///
/// To be called before this process consumes, since no process can tell later. A message that waits for a retry delay is published a
/// second time, and processed once.
///
/// # Errors
/// Broker or store failed. The follow-ups are published again when they are overdue, which takes up to four hours.
pub async fn make_lost_due(bus: &dyn Bus, follow_ups: &dyn FollowUps) -> Result<u64, RepairError> {
    let queues: Vec<&str> = Lane::ALL.iter().map(|lane| lane.queue()).collect();
    let found = bus.queues(&queues).await?;
    let holds_nothing = |figures: &Option<QueueFigures>| {
        figures.is_none_or(|figures| figures.messages == 0 && figures.consumers == 0)
    };
    let lanes = Lane::ALL.iter().copied().zip(&found);
    let lanes: Vec<Lane> = lanes
        .filter(|(_, figures)| holds_nothing(figures))
        .map(|(lane, _)| lane)
        .collect();
    if lanes.is_empty() {
        return Ok(0);
    }
    let due = follow_ups.make_due(&lanes).await?;
    if due > 0 {
        tracing::warn!(
            due,
            "the queues of follow-ups are empty and nobody consumes them: the follow-ups are published again"
        );
    }
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fakes::{FakeBus, FakeFollowUps};

    #[tokio::test]
    async fn what_was_published_to_queues_that_hold_nothing_is_due() {
        let figures = |messages, consumers| QueueFigures { messages, consumers };
        let devices = Lane::Devices.queue();
        let all = Lane::ALL;
        let table: [(QueueFigures, &[&str], &[Lane]); 4] = [
            (figures(0, 0), &[], all),
            (figures(3, 0), &[], &[]),
            (figures(0, 1), &[], &[]),
            (figures(0, 1), &[devices], &[Lane::Devices]),
        ];
        for (figures, missing, expected) in table {
            let (bus, follow_ups) = (FakeBus::default(), FakeFollowUps::default());
            bus.set_figures(figures);
            bus.set_missing(missing);
            let due = make_lost_due(&bus, &follow_ups).await.unwrap();
            assert_eq!(follow_ups.made_due(), expected, "{figures:?}");
            assert_eq!(due, expected.len() as u64, "{figures:?}");
        }
    }
}
