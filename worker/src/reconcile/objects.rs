use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_bus::Bus;
use lockstep_protocol::topology::Topology;

use super::{Page, Repair, RepairError};

/// The broker's objects: what was deleted is declared again, and whoever reads it comes back by himself. What lay in a
/// deleted queue is gone; other repairs publish it again.
///
/// A queue is declared again only in the pass after the one that missed it, and no other queue with it: where one is declared
/// within milliseconds of its deletion, RabbitMQ 3.10 may leave its deliveries stranded.
#[derive(Debug)]
pub struct BrokerObjects {
    bus: Arc<dyn Bus>,
    topology: Topology,
    missed: Mutex<BTreeSet<String>>,
}

impl BrokerObjects {
    /// Declares these objects.
    pub fn new(bus: Arc<dyn Bus>, topology: Topology) -> Self {
        Self {
            bus,
            topology,
            missed: Mutex::default(),
        }
    }

    /// Remembers what is missing now, and says what was before.
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
            tracing::error!(queues = ?missing, "queues are gone, and what was in them; the next pass declares them again");
            return Ok(nothing);
        }
        // Exchanges and bindings too, of which it is not known whether they are there. But of the queues only those that
        // were missed twice: another one may be deleted this very moment, and the binding to it says so.
        let mut objects = self.topology.clone();
        objects.queues.retain(|queue| missing.contains(queue.name));
        self.bus.declare(&objects).await?;
        self.remember(BTreeSet::new());
        Ok(Page { repaired, ..nothing })
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::topology;

    use super::*;
    use crate::reconcile::fakes::FakeBus;

    #[tokio::test]
    async fn a_queue_is_declared_again_in_the_pass_after_the_one_that_missed_it() {
        let bus = Arc::<FakeBus>::default();
        let repair = BrokerObjects::new(bus.clone(), Topology::new(1.0));
        let [a, b, c] = [topology::DEAD, topology::RESULTS, topology::UNROUTED];
        // What is missing, and which queues are declared then, if anything is declared.
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
    }
}
