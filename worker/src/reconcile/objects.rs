use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_bus::Bus;
use lockstep_protocol::topology::{Lane, Topology};
use lockstep_store::FollowUps;

use super::{Page, Repair, RepairError};

/// Repairs the exchanges, queues and bindings of the broker: declares deleted ones again. The messages of a deleted queue are
/// lost; the follow-ups of its lane become due at once, so that they are published again.
///
/// A queue is declared again only in the pass after the one that missed it, and no other queue with it: if a queue is declared
/// within milliseconds of its deletion, RabbitMQ 3.10 may never deliver its messages (`docs/reference/rabbitmq.md`).
#[derive(Debug)]
pub struct BrokerObjects {
    bus: Arc<dyn Bus>,
    follow_ups: Arc<dyn FollowUps>,
    topology: Topology,
    missed: Mutex<BTreeSet<String>>,
}

impl BrokerObjects {
    /// Repairs the objects of this topology.
    pub fn new(bus: Arc<dyn Bus>, follow_ups: Arc<dyn FollowUps>, topology: Topology) -> Self {
        Self {
            bus,
            follow_ups,
            topology,
            missed: Mutex::default(),
        }
    }

    /// Stores the queues that are missing now, and returns those of the last pass.
    fn remember(&self, missing: BTreeSet<String>) -> BTreeSet<String> {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut missed, missing)
    }
}

#[async_trait]
impl Repair for BrokerObjects {
    fn what(&self) -> &'static str {
        "queue"
    }

    async fn page(&self) -> Result<Page, RepairError> {
        let missing: BTreeSet<String> = self.bus.missing(&self.topology).await?.into_iter().collect();
        let repaired = missing.len() as u64;
        let nothing = Page {
            repaired: 0,
            more: false,
        };
        let before = self.remember(missing.clone());
        if !missing.is_subset(&before) {
            let queues = Vec::from_iter(missing).join(" ");
            tracing::error!(
                queues,
                "queues were deleted and their messages are lost; the next pass declares the queues again"
            );
            return Ok(nothing);
        }
        // AMQP cannot tell whether bindings exist, so all exchanges and bindings are declared. Of the queues, only those that two
        // passes missed: another queue may be deleted at this moment.
        let mut objects = self.topology.clone();
        objects.queues.retain(|queue| missing.contains(queue.name));
        self.bus.declare(&objects).await?;
        let lanes = Lane::ALL
            .iter()
            .copied()
            .filter(|lane| missing.contains(lane.queue()));
        let lanes: Vec<Lane> = lanes.collect();
        if !lanes.is_empty() {
            self.follow_ups.make_due(&lanes).await?;
        }
        self.remember(BTreeSet::new());
        Ok(Page { repaired, ..nothing })
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::topology;

    use super::*;
    use crate::reconcile::fakes::{FakeBus, FakeFollowUps};

    #[tokio::test]
    async fn a_queue_is_declared_again_in_the_pass_after_the_one_that_missed_it() {
        let bus = Arc::<FakeBus>::default();
        let follow_ups = Arc::<FakeFollowUps>::default();
        let repair = BrokerObjects::new(bus.clone(), follow_ups.clone(), Topology::new(1.0));
        let [a, b, c] = [Lane::Devices.queue(), topology::RESULTS, topology::UNROUTED];
        // Missing queues, and the queues that the pass declares; `None` if it declares nothing.
        let table: [(&[&str], Option<&[&str]>); 7] = [
            (&[], Some(&[])),
            (&[a], None),
            (&[a], Some(&[a])),
            (&[b], None),
            (&[b, c], None),
            (&[c], Some(&[c])),
            (&[], Some(&[])),
        ];
        for (missing, expected) in table {
            bus.set_missing(missing);
            let page = repair.page().await.unwrap();
            let repaired = expected.map_or(0, <[&str]>::len) as u64;
            assert_eq!((page.repaired, page.more), (repaired, false), "{missing:?}");
            let declared: Vec<Vec<&str>> = expected.map(<[&str]>::to_vec).into_iter().collect();
            assert_eq!(bus.take_declared(), declared, "{missing:?}");
        }
        assert_eq!(
            follow_ups.made_due(),
            [Lane::Devices],
            "only its queue was deleted"
        );
    }
}
