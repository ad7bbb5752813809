use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ElementOutcome, ElementState, Level};

/// What the steps of a task came to for one entity, in the answer of `GET /v1/executions/{number or id}/results`. The data is
/// untrusted: it has whatever the device said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EntityResultView {
    /// The index of the phase: the pre-tasks first, then the task itself, then the post-tasks.
    pub phase: u8,
    /// The name that the task of the phase had.
    pub task: String,
    /// The level of the entity.
    pub level: Level,
    /// The id of the entity; 0 for the whole fleet.
    pub entity: u64,
    /// The name of the entity.
    pub name: String,
    /// The id of the entity above it.
    pub parent: Option<u64>,
    /// The name that the entity above it has now; null if there is none any more.
    pub of: Option<String>,
    /// Its state; PENDING until its last step ended.
    pub state: ElementState,
    /// What became of it; null before its end.
    pub outcome: Option<ElementOutcome>,
    /// Why it failed or was skipped: a word for programs.
    pub reason: Option<String>,
    /// What happened, for people.
    pub message: Option<String>,
    /// Whether something changed, or would have in a dry run.
    pub changed: bool,
    /// What its pre-run step returned.
    pub pre_run: Value,
    /// What its run step returned.
    pub data: Value,
}

/// The answer of `GET /v1/executions/{number or id}/results`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EntityResultPage {
    /// One page of results of one phase and level: at most 8 MiB of data, if it has more than one result.
    pub results: Vec<EntityResultView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
