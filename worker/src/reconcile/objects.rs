use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_bus::Bus;
use lockstep_protocol::topology::Topology;

use super::{Page, Repair, RepairError};

/// The broker's objects: what was deleted is declared again, and whoever reads it comes back by himself. What lay in a
/// deleted queue is gone; other repairs publish it again.
///
/// A queue is declared again only in the pass after the one that missed it: declared within milliseconds of its deletion,
/// RabbitMQ 3.10 may leave its deliveries stranded.
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
        // Exchanges and bindings too, of which it is not known whether they are there.
        self.bus.declare(&self.topology).await?;
        self.remember(BTreeSet::new());
        Ok(Page { repaired, ..nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fakes::FakeBus;

    #[tokio::test]
    async fn a_queue_is_declared_again_in_the_pass_after_the_one_that_missed_it() {
        let bus = Arc::<FakeBus>::default();
        let repair = BrokerObjects::new(bus.clone(), Topology::new(1.0));
        // What is missing, how many are repaired, how often was declared by then.
        let table: [(&[&str], u64, u32); 7] = [
            (&[], 0, 1),
            (&["a"], 0, 1),
            (&["a"], 1, 2),
            (&["b"], 0, 2),
            (&["b", "c"], 0, 2),
            (&["c"], 1, 3),
            (&[], 0, 4),
        ];
        for (missing, repaired, declared) in table {
            bus.miss(missing);
            let page = repair.page().await.unwrap();
            assert_eq!((page.repaired, page.more), (repaired, false), "{missing:?}");
            assert_eq!(bus.declared(), declared, "{missing:?}");
        }
    }
}
