use std::sync::Arc;

use lockstep_clock::Clock;
use lockstep_cvp::Policy;
use lockstep_cvp::sweep::{Cvp, SharedControls, SweepContext, SweepEvent, SweepOptions};

/// A cluster of CloudVision, and how it is swept.
#[derive(Clone, Debug)]
pub struct SweptCluster {
    cvp: Arc<dyn Cvp>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    /// The name in the notes on tasks.
    author: String,
    pub(crate) controls: SharedControls,
}

impl SweptCluster {
    /// A cluster with this client: all tasks that are settled at the same time share its session. `author` is in the notes on tasks.
    pub fn new(cvp: Arc<dyn Cvp>, clock: Arc<dyn Clock>, policy: Policy, author: impl Into<String>) -> Self {
        Self {
            cvp,
            clock,
            policy,
            author: author.into(),
            controls: SharedControls::default(),
        }
    }

    /// The context of a sweep with this observer.
    pub(crate) fn context(&self, observe: Arc<dyn Fn(SweepEvent<'_>) + Send + Sync>) -> SweepContext {
        SweepContext {
            cvp: self.cvp.clone(),
            clock: self.clock.clone(),
            observe,
        }
    }

    /// The options of a sweep. Each has a name of its own, by which attempts at a task know an earlier one.
    pub(crate) fn options(&self, sweep: &str, dry_run: bool) -> SweepOptions {
        SweepOptions {
            dry_run,
            policy: self.policy.clone(),
            author: format!("{}, sweep {sweep}", self.author),
            ..SweepOptions::default()
        }
    }
}
