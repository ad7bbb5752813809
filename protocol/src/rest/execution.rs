use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::ApprovalView;
use crate::commands::{ExecuteOn, RunLimits};
use crate::{ExecutionState, Stage};

/// An execution in the answers of `GET /v1/executions` and `GET /v1/executions/{number or id}`. The counts add up to the elements when
/// it ended; before, the others have not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionView {
    /// Its stable number, which grows.
    pub number: u64,
    /// Its id, as messages name it.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub id: Uuid,
    /// The name that its task had.
    pub task: String,
    /// The number of the task, which may be deleted since.
    pub task_number: u64,
    /// The name of the provider.
    pub provider: String,
    /// Its state.
    pub state: ExecutionState,
    /// Why it ended so, where the counts do not say it.
    pub reason: Option<String>,
    /// Whether it changes nothing on devices.
    pub dry_run: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Why none of its elements begins any more: `cancelled`, `deadline`, `canary-failed` or `too-many-failed`. A text, since a newer
    /// worker may know more reasons.
    pub halt: Option<String>,
    /// Whether only its canary elements may begin.
    pub in_canary: bool,
    /// How many elements are parked: they have not ended, and hold their canary or their wave.
    #[serde(default)]
    pub parked: u64,
    /// The names that its pre-tasks had, in the order in which they run: theirs included.
    #[serde(default)]
    pub pre_tasks: Vec<String>,
    /// The names that its post-tasks had, likewise.
    #[serde(default)]
    pub post_tasks: Vec<String>,
    /// The stages that it goes through, in their order.
    #[serde(default)]
    pub stages: Vec<StageView>,
    /// The stage that it is in, or ended in.
    #[serde(default)]
    pub stage: Option<StageView>,
    /// How many elements take part in that stage.
    #[serde(default)]
    pub stage_elements: u64,
    /// How many of these ended it.
    #[serde(default)]
    pub stage_ended: u64,
    /// How many elements it has.
    pub elements: u64,
    /// How many were done.
    pub done: u64,
    /// How many failed.
    pub failed: u64,
    /// How many did not run.
    pub skipped: u64,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When its first element began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When nothing more of it begins, and what runs is told to stop.
    pub deadline_at: Option<Timestamp>,
    /// The authenticated sender who requested it.
    pub by: Option<String>,
    /// The kind of entity that was named in the request.
    pub execute_on_type: ExecuteOn,
    /// The kind of entity that its elements are.
    pub run_on: ExecuteOn,
    /// The arguments that the task had.
    pub task_arguments: Value,
    /// The arguments of the run.
    pub arguments: Value,
    /// The limits of the run.
    pub limits: RunLimits,
    /// The id of the execution whose failed elements it runs again.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Id>"))]
    pub relaunch_of: Option<Uuid>,
    /// The step of a workflow that it is.
    #[serde(default)]
    pub parent: Option<ParentView>,
    /// The approvals of a plan, the oldest first; empty for other executions.
    #[serde(default)]
    pub approvals: Vec<ApprovalView>,
}

/// The step of a workflow that an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ParentView {
    /// The number of the execution of the workflow, which may be deleted since.
    pub execution: u64,
    /// The number of the step, from 1.
    pub step: u32,
}

impl ExecutionView {
    /// How many elements have ended.
    pub fn ended(&self) -> u64 {
        self.done.saturating_add(self.failed).saturating_add(self.skipped)
    }
}

/// A stage of an execution: the steps of a task between two barriers. All elements end it before the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageView {
    /// Its index among the stages of the execution.
    pub index: u16,
    /// The index of the phase: the pre-tasks first, then the task itself, then the post-tasks.
    pub phase: u8,
    /// The name that the task of the phase had.
    pub task: String,
    /// Which steps of the run cycle it has.
    pub stage: Stage,
}

/// The answer of `GET /v1/executions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionPage {
    /// One page of executions, newest first.
    pub executions: Vec<ExecutionView>,
    /// The value of `before` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// How many executions match, on all pages; only if the request has `total=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The answer of `GET /v1/executions/stopped`: whether all executions are stopped, so that nothing begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StopView {
    /// Whether they are.
    pub stopped: bool,
    /// Since when; null if they are not.
    pub at: Option<Timestamp>,
    /// The authenticated sender who stopped them.
    pub by: Option<String>,
    /// Why.
    pub note: Option<String>,
}
