use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ExecutionState, Identity, Kind, Stage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::PhaseTask;
use crate::ReplyAddress;

/// A row of the table of executions.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionRow {
    /// Its stable number, which grows.
    pub number: u64,
    /// Its id, derived from the message that requested it.
    pub id: Uuid,
    /// What it was requested with.
    pub request: NewExecution,
    /// Its state.
    pub state: ExecutionState,
    /// Why it ended so, where the counts do not say it.
    pub reason: Option<String>,
    /// When its first element began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whether it is paused.
    pub paused: bool,
    /// Why none of its elements begins any more.
    pub halt: Option<Halt>,
    /// Whether only its canary elements may begin.
    pub in_canary: bool,
    /// How many elements it has, and how many ended.
    pub counts: ElementCounts,
    /// How many elements are parked. They have not ended.
    pub parked: u64,
    /// The stage that it is in.
    pub stage: StageRow,
}

/// An execution that has not ended, on a lane where the executions of one cluster take turns.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenExecution {
    /// The execution.
    pub row: ExecutionRow,
    /// Whether it waits for its turn.
    pub waits: bool,
}

/// The stage that an execution is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageRow {
    /// The index of the stage in the plan of the execution.
    pub index: u16,
    /// How many elements take part in it.
    pub elements: u64,
    /// How many of these ended it.
    pub ended: u64,
}

/// A stage that an execution goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedStage {
    /// The index of the phase: the pre-tasks first, then the task itself, then the post-tasks.
    pub phase: u8,
    /// The stage.
    pub stage: Stage,
}

/// An execution to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewExecution {
    /// The number of the task; the task may be deleted later.
    pub task_number: u64,
    /// The name that the task had.
    pub task: String,
    /// The name of the provider.
    pub provider: String,
    /// The arguments that the task had.
    pub task_arguments: Value,
    /// What was requested: entities, arguments of the run, limits. The entities are left out of rows that are read, except by
    /// [`Executions::execution`](super::Executions::execution): there may be many, and the elements name them.
    pub requested: TaskRequested,
    /// The task's own arguments of a run, as they were: a JSON Schema. It is left out of rows that are read: see
    /// [`ExecutionTransaction::run_input_json_schema`](super::ExecutionTransaction::run_input_json_schema).
    pub run_input_json_schema: Option<Value>,
    /// The kind of entity that its elements are.
    pub run_on: ExecuteOn,
    /// The tasks that run before it, in their order.
    pub pre_tasks: Vec<PhaseTask>,
    /// The tasks that run after it, in their order.
    pub post_tasks: Vec<PhaseTask>,
    /// The stages that it goes through.
    pub plan: Vec<PlannedStage>,
    /// The lane of the messages about its elements.
    pub lane: Lane,
    /// The execution whose failed elements it runs again.
    pub relaunch_of: Option<Uuid>,
    /// The step of a workflow that it is.
    pub parent: Option<ParentStep>,
    /// The identity of the message that requested it. The results of the execution derive theirs from it.
    pub identity: Identity,
    /// The type of that message.
    pub kind: Kind,
    /// Its sender, as authenticated.
    pub actor: Option<String>,
    /// Where results go.
    pub reply: ReplyAddress,
    /// When it was accepted.
    pub at: Timestamp,
    /// When nothing more of it begins.
    pub deadline_at: Option<Timestamp>,
}

impl NewExecution {
    /// The limits of the execution.
    pub fn limits(&self) -> &RunLimits {
        &self.requested.limits
    }

    /// The cluster of CloudVision that it works on, one execution at a time: the argument `cluster` of a task on the lane `cvp`.
    pub fn cluster(&self) -> Option<CapScope> {
        let name = self.task_arguments["cluster"].as_str();
        let name = name.filter(|_| self.lane == Lane::Cvp);
        name.map(|name| CapScope::Cluster(name.to_owned()))
    }
}

/// A step of a workflow: which execution began another one, and in which of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParentStep {
    /// The number of the execution of the workflow, which may be deleted since.
    pub execution: u64,
    /// The phase of that execution: a workflow may be a pre- or post-task.
    pub phase: u8,
    /// The index of the step, from 0.
    pub step: u32,
}

/// What was stored of a new execution.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedExecution {
    /// Its number.
    pub number: u64,
    /// How many elements it has. Clients below nothing that takes part are among them, and were skipped.
    pub elements: u64,
    /// How many of them take part in the first stage.
    pub stage_elements: u64,
    /// The ids among the requested ones that no entity has, at most 20. Nothing is stored if there is one.
    pub missing: Vec<u64>,
}

/// How many elements of a new execution were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// All of them.
    pub elements: u64,
    /// Those that would have taken part in the first stage.
    pub in_first_stage: u64,
}

/// How many elements an execution has, by what became of them. The others have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElementCounts {
    /// All elements.
    pub elements: u64,
    /// Those that were done.
    pub done: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that did not run.
    pub skipped: u64,
}

impl ElementCounts {
    /// How many ended.
    pub fn ended(&self) -> u64 {
        self.done + self.failed + self.skipped
    }

    /// How many have not ended.
    pub fn open(&self) -> u64 {
        self.elements.saturating_sub(self.ended())
    }
}

/// Why none of the elements of an execution begins any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Halt {
    /// It was cancelled.
    Cancelled,
    /// Its deadline is over.
    Deadline,
    /// The fleet failed, and everything is below it.
    ParentFailed,
    /// An element of its canary failed.
    CanaryFailed,
    /// A larger share of its elements failed than allowed.
    TooManyFailed,
}

impl Halt {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Cancelled,
        Self::Deadline,
        Self::ParentFailed,
        Self::CanaryFailed,
        Self::TooManyFailed,
    ];

    /// The word for programs: the reason of the elements that did not run.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Deadline => "deadline",
            Self::ParentFailed => "parent-failed",
            Self::CanaryFailed => "canary-failed",
            Self::TooManyFailed => "too-many-failed",
        }
    }

    /// Whether running elements are told to stop, too.
    pub const fn stops_running(self) -> bool {
        matches!(self, Self::Cancelled | Self::Deadline)
    }
}

impl FromStr for Halt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|halt| halt.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no reason to halt"))
    }
}

/// All executions are stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRow {
    /// Since when.
    pub at: Timestamp,
    /// Who stopped them, as authenticated.
    pub by: Option<String>,
    /// Why.
    pub note: Option<String>,
}

/// What bounds how many elements run at once, or what an element waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapScope {
    /// A stop of all executions.
    Stop,
    /// All elements.
    Overall,
    /// The elements of one provider.
    Provider(String),
    /// The elements on the devices of one group.
    Group(String),
    /// The elements of one execution, by its number: its own limits, its canary, or that it is paused.
    Execution(u64),
    /// One device, by its hostname.
    Device(String),
    /// A stage of an execution, by its number and the index of the stage: the stages before it have not ended.
    Stage(u64, u16),
    /// A cluster of CloudVision, by its name: one sweep at a time.
    Cluster(String),
    /// A time: its provider cannot run it now.
    Parked,
    /// The end of an execution, by its number: that of a step of a workflow.
    Ended(u64),
}

impl fmt::Display for CapScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stop"),
            Self::Overall => f.write_str("overall"),
            Self::Provider(name) => write!(f, "provider/{name}"),
            Self::Group(name) => write!(f, "group/{name}"),
            Self::Execution(number) => write!(f, "execution/{number}"),
            Self::Device(hostname) => write!(f, "device/{hostname}"),
            Self::Stage(number, index) => write!(f, "stage/{number}/{index}"),
            Self::Cluster(name) => write!(f, "cluster/{name}"),
            Self::Parked => f.write_str("parked"),
            Self::Ended(number) => write!(f, "ended/{number}"),
        }
    }
}

impl FromStr for CapScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is not a scope");
        match text.split_once('/') {
            None if text == "stop" => Ok(Self::Stop),
            None if text == "overall" => Ok(Self::Overall),
            None if text == "parked" => Ok(Self::Parked),
            Some(("provider", name)) => Ok(Self::Provider(name.to_owned())),
            Some(("group", name)) => Ok(Self::Group(name.to_owned())),
            Some(("execution", number)) => number.parse().map(Self::Execution).map_err(|_| unknown()),
            Some(("ended", number)) => number.parse().map(Self::Ended).map_err(|_| unknown()),
            Some(("device", hostname)) => Ok(Self::Device(hostname.to_owned())),
            Some(("stage", stage)) => {
                let (number, index) = stage.split_once('/').ok_or_else(unknown)?;
                let number = number.parse().map_err(|_| unknown())?;
                Ok(Self::Stage(number, index.parse().map_err(|_| unknown())?))
            }
            Some(("cluster", name)) => Ok(Self::Cluster(name.to_owned())),
            _ => Err(unknown()),
        }
    }
}
