use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::{ElementOutcome, ElementState, Level};
use serde_json::Value;

use super::PhaseRole;

/// What the steps on one entity came to.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleResult {
    /// Its level.
    pub level: Level,
    /// The id of the entity.
    pub entity: u64,
    /// The name of the entity.
    pub name: String,
    /// The id of the entity above it.
    pub parent: Option<u64>,
    /// PENDING until its last step ended, then a final state. The state of a failed step stays.
    pub state: ElementState,
    /// Why it failed or was skipped: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether something changed, or would have in a dry run.
    pub changed: bool,
    /// What its pre-run step returned: any JSON.
    pub pre_run: Value,
    /// What its run step returned: any JSON.
    pub data: Value,
}

impl CycleResult {
    /// Whether a step on the entity, or on one above it, failed.
    pub fn is_failed(&self) -> bool {
        self.state.outcome() == Some(ElementOutcome::Failed)
    }
}

/// The results of an execution that ended in earlier stages of the same phase.
#[async_trait]
pub trait Results: Debug + Send + Sync {
    /// A page of the results at a level, ordered by the ids of their entities, beginning after `after`. `of`: only devices of the group
    /// with this id, or entities below the entity with this id. An empty page is the end.
    ///
    /// # Errors
    /// A text for people: the store cannot be read.
    async fn page(
        &self,
        level: Level,
        of: Option<u64>,
        after: Option<u64>,
    ) -> Result<Vec<CycleResult>, String>;
}

/// How a unit ends, by the results of its entities.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitEnd {
    /// SUCCESSFUL, PARTIAL_FAILED, FAILED, or the states of failed pre- and post-tasks.
    pub state: ElementState,
    /// Why it failed: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether something changed.
    pub changed: bool,
}

/// How a unit ends whose entities came to these results, the first one being the unit itself. `target` is the level that the provider
/// runs on.
pub fn unit_end(_results: &[CycleResult], _target: Level, _role: PhaseRole) -> UnitEnd {
    todo!("part cycle")
}
