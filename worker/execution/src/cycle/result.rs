use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::{ElementOutcome, ElementState, EntityType, Level};
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
    /// Whether a step on the entity failed.
    pub fn is_failed(&self) -> bool {
        self.state.outcome() == Some(ElementOutcome::Failed)
    }

    /// Whether steps on the entity did not run: an entity above it failed, it took no part any more, or the execution was halted.
    pub fn is_skipped(&self) -> bool {
        self.state.outcome() == Some(ElementOutcome::Skipped)
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
    /// `SUCCESSFUL`, `PARTIAL_FAILED`, `FAILED`, or the states of failed pre- and post-tasks.
    pub state: ElementState,
    /// Why it failed: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether something changed.
    pub changed: bool,
}

/// How a unit ends whose entities came to these results, the first one being the unit itself. `target` is the level that the provider
/// runs on; if no entity is at this level, all count. Entities that are PENDING, because they have no step, do not count.
pub fn unit_end(results: &[CycleResult], target: Level, role: PhaseRole) -> UnitEnd {
    let ended: Vec<&CycleResult> = results
        .iter()
        .filter(|result| result.state.outcome().is_some())
        .collect();
    let changed = results.iter().any(|result| result.changed);
    let failed: Vec<&CycleResult> = ended
        .iter()
        .copied()
        .filter(|result| result.is_failed())
        .collect();
    let skipped = ended.iter().copied().find(|result| result.is_skipped());
    let Some(cause) = failed.first().copied().or(skipped) else {
        let only = match ended[..] {
            [only] => Some(only),
            _ => None,
        };
        let remarkable = ended.iter().find(|result| result.reason.is_some());
        return UnitEnd {
            state: ElementState::Successful,
            reason: remarkable.and_then(|result| result.reason.clone()),
            message: only.and_then(|only| only.message.clone()),
            changed,
        };
    };
    let is_at_target = |result: &CycleResult| match target {
        Level::GroupClient | Level::InterfaceClient => result.level.entity_type() == EntityType::Client,
        _ => result.level == target,
    };
    let any_at_target = ended.iter().any(|result| is_at_target(result));
    let is_done = |result: &&&CycleResult| {
        result.state == ElementState::Successful && (is_at_target(result) || !any_at_target)
    };
    let is_part = ended.iter().any(|result| is_done(&result))
        || failed
            .iter()
            .any(|result| result.state == ElementState::PartialFailed);
    let state = match (is_part, failed.is_empty()) {
        (true, _) => ElementState::PartialFailed,
        (false, true) => cause.state,
        (false, false) => role.failed(cause.state),
    };
    UnitEnd {
        state,
        reason: cause.reason.clone(),
        message: failure_message(cause, &ended, failed.len()),
        changed,
    }
}

/// What failed, and how many entities of how many, if there are several.
fn failure_message(cause: &CycleResult, ended: &[&CycleResult], failed: usize) -> Option<String> {
    if ended.len() == 1 {
        return cause.message.clone();
    }
    let said = cause.message.as_deref().or(cause.reason.as_deref());
    let said = said.unwrap_or(cause.state.as_str());
    let (all, name) = (ended.len(), &cause.name);
    Some(match failed {
        0 | 1 => format!("{name}: {said}"),
        _ => format!("{failed} of {all} results failed, the first one of {name}: {said}"),
    })
}
