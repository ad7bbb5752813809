use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_bus::{Bus, Outgoing, PublishError};
use lockstep_clock::Clock;
use lockstep_store::{FollowUp, FollowUps, UnitOfWork};

use super::{Page, Repair, RepairError};
use crate::runtime::{PAGE, end_follow_up, outgoing};

/// Follow-ups that are overdue: their time has come, the worker that was to publish them crashed, or their message was
/// published and not processed for long. They are published under the same identity as before.
#[derive(Debug)]
pub struct OverdueFollowUps {
    follow_ups: Arc<dyn FollowUps>,
    store: Arc<dyn UnitOfWork>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    republish_after: Duration,
}

impl OverdueFollowUps {
    /// Publishes a follow-up again when it was not processed for `republish_after`, and for twice as long each time after.
    pub fn new(
        follow_ups: Arc<dyn FollowUps>,
        store: Arc<dyn UnitOfWork>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        republish_after: Duration,
    ) -> Self {
        Self {
            follow_ups,
            store,
            bus,
            clock,
            republish_after,
        }
    }
}

impl OverdueFollowUps {
    async fn mark_published(&self, published: impl Iterator<Item = FollowUp>) -> Result<(), RepairError> {
        let published: Vec<FollowUp> = published.collect();
        self.follow_ups
            .mark_published(&published, self.republish_after)
            .await?;
        Ok(())
    }

    /// Ends a follow-up that is too large for the broker.
    async fn end(&self, follow_up: FollowUp, outgoing: &Outgoing) -> Result<(), RepairError> {
        if let Some(instead) = end_follow_up(&*self.store, &follow_up, outgoing, &*self.clock).await? {
            self.bus.publish(vec![instead]).await?;
        }
        self.mark_published([follow_up].into_iter()).await
    }
}

#[async_trait]
impl Repair for OverdueFollowUps {
    fn what(&self) -> &'static str {
        "follow-up"
    }

    async fn page(&self) -> Result<Page, RepairError> {
        let claimed = self.follow_ups.claim_overdue(PAGE).await?;
        let more = claimed.len() == PAGE as usize;
        let mut rendered: Vec<(FollowUp, Outgoing)> = claimed
            .into_iter()
            .filter_map(|follow_up| outgoing(&follow_up).map(|outgoing| (follow_up, outgoing)))
            .collect();
        let repaired = rendered.len() as u64;
        while !rendered.is_empty() {
            let messages = rendered.iter().map(|(_, outgoing)| outgoing.clone()).collect();
            let too_large = match self.bus.publish(messages).await {
                Ok(()) => Vec::new(),
                Err(PublishError::TooLarge { size, .. }) => rendered
                    .extract_if(.., |(_, outgoing)| outgoing.body.len() >= size)
                    .collect(),
                Err(error) => return Err(error.into()),
            };
            if too_large.is_empty() {
                self.mark_published(rendered.drain(..).map(|(follow_up, _)| follow_up))
                    .await?;
            }
            for (follow_up, outgoing) in too_large {
                self.end(follow_up, &outgoing).await?;
            }
        }
        Ok(Page { repaired, more })
    }
}

#[cfg(test)]
mod tests {
    use lockstep_clock::SystemClock;

    use super::*;
    use crate::reconcile::fakes::{FakeBus, FakeFollowUps, FakeMode, NoTransactions};

    const LATER: Duration = Duration::from_mins(15);

    #[tokio::test]
    async fn overdue_follow_ups_are_published_page_by_page_and_moved_on() {
        let (follow_ups, bus) = (Arc::<FakeFollowUps>::default(), Arc::<FakeBus>::default());
        follow_ups.overdue(1..=100);
        let repair = OverdueFollowUps::new(
            follow_ups.clone(),
            Arc::new(NoTransactions),
            bus.clone(),
            Arc::new(SystemClock),
            LATER,
        );
        let first = repair.page().await.unwrap();
        assert_eq!((first.repaired, first.more), (64, true));
        let second = repair.page().await.unwrap();
        assert_eq!((second.repaired, second.more), (36, false));
        assert_eq!(bus.published().len(), 100);
        assert_eq!(follow_ups.marked(), (1..=100).collect::<Vec<u64>>());
    }

    #[tokio::test]
    async fn what_the_broker_does_not_confirm_is_not_moved_on() {
        let (follow_ups, bus) = (Arc::<FakeFollowUps>::default(), Arc::<FakeBus>::default());
        follow_ups.overdue(1..=3);
        bus.set_mode(FakeMode::Closed);
        let repair = OverdueFollowUps::new(
            follow_ups.clone(),
            Arc::new(NoTransactions),
            bus.clone(),
            Arc::new(SystemClock),
            LATER,
        );
        repair.page().await.unwrap_err();
        assert!(follow_ups.marked().is_empty());
    }

    #[tokio::test]
    async fn a_follow_up_for_a_lane_of_a_newer_version_is_left_to_newer_workers() {
        let (follow_ups, bus) = (Arc::<FakeFollowUps>::default(), Arc::<FakeBus>::default());
        follow_ups.overdue_in("a-newer-lane", 1..=2);
        let repair = OverdueFollowUps::new(
            follow_ups.clone(),
            Arc::new(NoTransactions),
            bus.clone(),
            Arc::new(SystemClock),
            LATER,
        );
        assert_eq!(repair.page().await.unwrap().repaired, 0);
        assert!(bus.published().is_empty() && follow_ups.marked().is_empty());
    }
}
