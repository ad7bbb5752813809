use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use super::{Repair, RepairError, repaired};
use crate::runtime::{Leadership, PeriodicTask, chain};

/// The time limit for one kind of repair in a pass, because publishing waits while the broker is unavailable.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Runs all kinds of repair, one after another.
#[derive(Debug)]
pub struct Reconcile {
    repairs: Vec<Arc<dyn Repair>>,
}

/// The result of a pass.
#[derive(Debug, Default)]
pub struct Pass {
    /// The number of repairs of each kind, including those before an error.
    pub repaired: Vec<(&'static str, u64)>,
    /// The kinds of repair that failed.
    pub failed: Vec<(&'static str, RepairError)>,
    /// Whether the pass ended early, because the leadership was lost or the store was unavailable.
    pub cut: bool,
}

impl Reconcile {
    /// Runs these kinds of repair in this order.
    pub fn new(repairs: Vec<Arc<dyn Repair>>) -> Self {
        lockstep_telemetry::work::begin_repairs(repairs.iter().map(|repair| repair.what()));
        Self { repairs }
    }

    /// Runs one pass. If one kind of repair fails, the others still run.
    pub async fn pass(&self, leadership: &Leadership<'_>) -> Pass {
        let mut pass = Pass::default();
        for repair in &self.repairs {
            let mut count = 0;
            let ended = all_pages(&**repair, leadership, &mut count).await;
            pass.repaired.push((repair.what(), count));
            match ended {
                Ended::Complete => {}
                Ended::Failed(error) => {
                    tracing::warn!(
                        what = repair.what(),
                        error = chain(&error),
                        "not repaired; the next pass tries again"
                    );
                    pass.failed.push((repair.what(), error));
                }
                Ended::Cut => {
                    pass.cut = true;
                    return pass;
                }
            }
        }
        pass
    }
}

enum Ended {
    Complete,
    Failed(RepairError),
    Cut,
}

/// Runs all pages of one kind of repair.
async fn all_pages(repair: &dyn Repair, leadership: &Leadership<'_>, count: &mut u64) -> Ended {
    let deadline = Instant::now() + TIME_LIMIT;
    loop {
        match leadership.continues().await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("leadership lost; another process continues");
                return Ended::Cut;
            }
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "the store is unavailable; the next pass continues"
                );
                return Ended::Cut;
            }
        }
        let page = match timeout_at(deadline, repair.page()).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => return Ended::Failed(error),
            Err(_) => return Ended::Failed(RepairError::TookTooLong(TIME_LIMIT)),
        };
        if page.repaired > 0 {
            repaired(repair.what(), page.repaired);
            *count += page.repaired;
        }
        if !page.more {
            return Ended::Complete;
        }
    }
}

#[async_trait]
impl PeriodicTask for Reconcile {
    async fn run(&self, leadership: &Leadership<'_>) {
        let pass = self.pass(leadership).await;
        let repaired: u64 = pass.repaired.iter().map(|(_, count)| count).sum();
        let failed = pass.failed.len();
        tracing::debug!(repaired, failed, cut = pass.cut, "reconcile pass finished");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::Ordering;

    use lockstep_bus::PublishError;

    use super::super::Page;
    use super::*;
    use crate::runtime::periodic_task_tests::{FakeLeases, held};

    /// What the next page does.
    #[derive(Debug)]
    enum Next {
        Repairs(u64, bool),
        Fails,
        Hangs,
        LosesTheLease,
        LosesTheStore,
    }

    #[derive(Debug)]
    struct Scripted {
        what: &'static str,
        script: Mutex<VecDeque<Next>>,
        leases: Arc<FakeLeases>,
    }

    #[async_trait]
    impl Repair for Scripted {
        fn what(&self) -> &'static str {
            self.what
        }

        async fn page(&self) -> Result<Page, RepairError> {
            let next = self.script.lock().unwrap().pop_front();
            match next.expect("the script has a step for each page") {
                Next::Repairs(repaired, more) => return Ok(Page { repaired, more }),
                Next::Fails => return Err(PublishError::Closed.into()),
                Next::Hangs => std::future::pending().await,
                Next::LosesTheLease => self.leases.steal(),
                Next::LosesTheStore => self.leases.unavailable.store(true, Ordering::SeqCst),
            }
            Ok(Page {
                repaired: 1,
                more: true,
            })
        }
    }

    /// The pass over two kinds of repair with these pages.
    async fn pass(first: Vec<Next>, second: Vec<Next>) -> Pass {
        let leases = Arc::new(FakeLeases::default());
        let lease = held(&leases).await;
        let repair = |what, script: Vec<Next>| {
            Arc::new(Scripted {
                what,
                script: Mutex::new(script.into()),
                leases: leases.clone(),
            }) as Arc<dyn Repair>
        };
        let reconcile = Reconcile::new(vec![repair("first", first), repair("second", second)]);
        reconcile.pass(&Leadership::new(&lease)).await
    }

    #[tokio::test(start_paused = true)]
    async fn every_page_of_every_kind_is_repaired_and_counted() {
        let pages = vec![Next::Repairs(3, true), Next::Repairs(4, false)];
        let pass = pass(pages, vec![Next::Repairs(0, false)]).await;
        assert_eq!(pass.repaired, [("first", 7), ("second", 0)]);
        assert!(pass.failed.is_empty() && !pass.cut, "{pass:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_repair_that_fails_or_hangs_does_not_stop_the_others() {
        for failure in [Next::Fails, Next::Hangs] {
            let pass = pass(
                vec![Next::Repairs(2, true), failure],
                vec![Next::Repairs(1, false)],
            )
            .await;
            assert_eq!(pass.repaired, [("first", 2), ("second", 1)]);
            assert_eq!(pass.failed.len(), 1, "{pass:?}");
            assert_eq!(pass.failed[0].0, "first");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_and_a_lost_store_end_the_pass_before_the_next_page() {
        for failure in [Next::LosesTheLease, Next::LosesTheStore] {
            let pass = pass(vec![failure], vec![]).await;
            assert_eq!(pass.repaired, [("first", 1)]);
            assert!(pass.cut && pass.failed.is_empty(), "{pass:?}");
        }
    }
}
