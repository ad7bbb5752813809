use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::ExecutionState;
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskReference};
use serde_json::Value;
use thiserror::Error;

/// A task that a provider runs as an execution of its own: a step of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskOfStep {
    /// The task.
    pub task: TaskReference,
    /// The arguments of its run. `None` if they are known only when the step begins.
    pub arguments: Option<Value>,
}

/// Begins executions for an element, and reads what became of them. They are the same however often the element runs.
#[async_trait]
pub trait ChildExecutions: Debug + Send + Sync {
    /// The data of the [`StepFailure`](crate::StepFailure) with which the element waited last; null if it never did.
    ///
    /// # Errors
    /// A text for people: the store cannot be read.
    async fn written(&self) -> Result<Value, String>;

    /// The executions that the element began, by step.
    ///
    /// # Errors
    /// A text for people: the store cannot be read.
    async fn begun(&self) -> Result<Vec<Child>, String>;

    /// Begins the execution of a step, with the dry run, the actor and the deadline of the element's execution. Returns its number: that of
    /// the execution that is there, if the step began before.
    ///
    /// # Errors
    /// The step cannot begin: nothing is stored.
    async fn begin(&self, new: &NewChild) -> Result<u64, ChildError>;

    /// The results of a child: one object for each entity that its task ran on, with `name`, `entity_type`, `state`, `reason`, `changed` and
    /// `data`.
    ///
    /// # Errors
    /// A text for people: the store cannot be read, or there are more than can be read at once.
    async fn results(&self, child: u64) -> Result<Vec<Value>, String>;

    /// Whether an element of these children changed something, or would have in a dry run.
    ///
    /// # Errors
    /// A text for people: the store cannot be read.
    async fn changed(&self, children: &[u64]) -> Result<bool, String>;
}

/// An execution that is to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChild {
    /// The index of the step, from 0.
    pub step: u32,
    /// Its task.
    pub task: TaskReference,
    /// What it runs on.
    pub on: ChildTargets,
    /// The arguments of the run.
    pub arguments: Value,
    /// Its limits. `None` for those of the element's execution.
    pub limits: Option<RunLimits>,
}

/// What the execution of a step runs on.
#[derive(Clone, Debug, PartialEq)]
pub enum ChildTargets {
    /// What the element's execution was requested for, without the entities whose element was not done in one of these earlier children.
    Inherited {
        /// The numbers of their executions.
        left_out_by: BTreeSet<u64>,
    },
    /// Entities by their ids and names.
    Named {
        /// Their kind.
        kind: ExecuteOn,
        /// Their ids.
        ids: Vec<u64>,
        /// Their names.
        names: Vec<String>,
    },
}

/// An execution that a step began.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// The index of the step.
    pub step: u32,
    /// The number of the execution.
    pub execution: u64,
    /// The name that its task had.
    pub task: String,
    /// Its state.
    pub state: ExecutionState,
    /// Why it ended so, where the counts do not say it.
    pub reason: Option<String>,
    /// Whether something kept its elements from beginning: it was cancelled, or too many failed.
    pub halted: bool,
    /// How many elements it has.
    pub elements: u64,
    /// How many were done.
    pub done: u64,
    /// How many failed.
    pub failed: u64,
    /// How many did not run.
    pub skipped: u64,
}

/// Why the execution of a step did not begin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChildError {
    /// It cannot begin as it is.
    #[error("{message}")]
    Refused {
        /// A word for programs, such as `unknown-task`.
        reason: Cow<'static, str>,
        /// What to do about it, for people.
        message: String,
    },
    /// The element's execution begins nothing any more.
    #[error("the execution of the workflow begins nothing any more")]
    Halted,
    /// The store cannot be read or written.
    #[error("{0}")]
    Unavailable(String),
}
