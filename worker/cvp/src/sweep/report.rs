use std::collections::BTreeSet;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::Counts;
use crate::ComplianceCode;
use crate::client::CvpError;
use crate::gate::Reason;
use crate::wire::{Task, TaskId};

/// An event during a sweep.
#[derive(Debug)]
pub enum SweepEvent<'a> {
    /// The number of tasks listed so far.
    Listed(u64),
    /// A task has its outcome.
    Settled(&'a TaskReport),
    /// A problem that concerns all tasks.
    Warning {
        /// Its consequence, and what to do.
        what: &'static str,
        /// Its cause.
        error: &'a CvpError,
    },
}

/// A task and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskReport {
    pub task_id: TaskId,
    /// CloudVision's id of the device, mostly its MAC address.
    pub net_element_id: String,
    pub hostname: String,
    pub serial: String,
    pub description: String,
    /// When the task was created, in milliseconds since 1970.
    pub created_ms: Option<i64>,
    /// The code of the device in the last reading before the decision.
    pub code: Option<ComplianceCode>,
    pub outcome: TaskOutcome,
}

/// The outcome of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskOutcome {
    /// It was cancelled, and CloudVision shows it as cancelled.
    Cancelled {
        /// What CloudVision answered.
        answer: String,
        /// The result of the compliance check after the cancel.
        afterwards: Afterwards,
    },
    /// It was kept.
    Kept {
        /// The reasons of the gate.
        reasons: BTreeSet<Reason>,
        /// The error, if a request failed.
        error: Option<String>,
    },
    /// Its cancellation failed.
    Failed { failure: Failure, error: String },
    /// It ended, or was cancelled by another user, before this sweep cancelled it.
    Gone {
        /// The status it was found in.
        status: String,
    },
}

/// The result of the compliance check after a task was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// The device is still compliant.
    Compliant,
    /// The device changed while the task was cancelled. CloudVision does not create a new task by itself.
    NoLongerCompliant,
    /// It could not be read.
    Unknown,
}

/// The step at which a cancellation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The note could not be written; nothing was cancelled.
    Note,
    /// CloudVision refused to cancel it.
    Refused,
    /// The answers to the cancels were lost, and the task is still pending.
    Lost,
    /// The task did not become Cancelled in time, or ended in another status.
    Unconfirmed,
}

/// The outcome of a task in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Cancelled,
    Kept,
    Failed,
    Gone,
}

/// The number of tasks by outcome: cancelled, kept, failed and gone add up to `listed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub listed: u64,
    pub cancelled: u64,
    pub kept: u64,
    pub failed: u64,
    pub gone: u64,
    /// Cancelled tasks whose device was not compliant afterwards.
    pub alerts: u64,
    /// Kept tasks by reason; a task may have several.
    pub reasons: Counts,
}

impl TaskOutcome {
    pub(super) fn kept(reasons: BTreeSet<Reason>) -> Self {
        Self::Kept { reasons, error: None }
    }

    /// The outcome in one word.
    pub fn action(&self) -> Action {
        match self {
            Self::Cancelled { .. } => Action::Cancelled,
            Self::Kept { .. } => Action::Kept,
            Self::Failed { .. } => Action::Failed,
            Self::Gone { .. } => Action::Gone,
        }
    }

    /// CloudVision's answer, or the error.
    pub fn answer(&self) -> Option<&str> {
        match self {
            Self::Cancelled { answer, .. } => Some(answer),
            Self::Kept { error, .. } => error.as_deref(),
            Self::Failed { error, .. } => Some(error),
            Self::Gone { status } => Some(status),
        }
    }

    /// The reasons, by their stable names.
    pub fn reasons(&self) -> Vec<String> {
        let one = |name: &str| vec![name.to_owned()];
        match self {
            Self::Cancelled { afterwards, .. } => match afterwards {
                Afterwards::Compliant => Vec::new(),
                Afterwards::NoLongerCompliant => one("no-longer-compliant"),
                Afterwards::Unknown => one("last-look-failed"),
            },
            Self::Kept { reasons, .. } => reasons.iter().map(ToString::to_string).collect(),
            Self::Failed { failure, .. } => one(match failure {
                Failure::Note => "note-failed",
                Failure::Refused => "cancel-refused",
                Failure::Lost => "cancel-lost",
                Failure::Unconfirmed => "cancel-unconfirmed",
            }),
            Self::Gone { .. } => Vec::new(),
        }
    }
}

impl TaskReport {
    pub(super) fn new(task: &Task, code: Option<ComplianceCode>, outcome: TaskOutcome) -> Self {
        let detail = |of: fn(&crate::wire::TaskDetails) -> &str| {
            task.details
                .get()
                .map_or_else(String::new, |details| of(details).to_owned())
        };
        Self {
            task_id: task.task_id(),
            net_element_id: task.device().to_owned(),
            hostname: detail(|details| details.hostname.text()),
            serial: detail(|details| details.serial.text()),
            description: task.description.text().to_owned(),
            created_ms: task.created_ms.get().copied(),
            code,
            outcome,
        }
    }
}

/// Scripts rely on these fields.
impl Serialize for TaskReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("TaskReport", 9)?;
        fields.serialize_field("task_id", &self.task_id)?;
        fields.serialize_field("net_element_id", &self.net_element_id)?;
        fields.serialize_field("hostname", &self.hostname)?;
        fields.serialize_field("serial", &self.serial)?;
        fields.serialize_field("code", &self.code)?;
        fields.serialize_field("meaning", &self.code.as_ref().map(ComplianceCode::meaning))?;
        fields.serialize_field("action", &self.outcome.action())?;
        fields.serialize_field("answer", &self.outcome.answer())?;
        fields.serialize_field("reasons", &self.outcome.reasons())?;
        fields.end()
    }
}

impl Summary {
    /// Counts a listed task and its outcome.
    pub fn add(&mut self, outcome: &TaskOutcome) {
        self.listed += 1;
        self.count(outcome);
    }

    pub(super) fn count(&mut self, outcome: &TaskOutcome) {
        match outcome {
            TaskOutcome::Cancelled { afterwards, .. } => {
                self.cancelled += 1;
                self.alerts += u64::from(*afterwards == Afterwards::NoLongerCompliant);
            }
            TaskOutcome::Kept { reasons, .. } => {
                self.kept += 1;
                for reason in reasons {
                    *self.reasons.entry(reason.to_string()).or_default() += 1;
                }
            }
            TaskOutcome::Failed { .. } => self.failed += 1,
            TaskOutcome::Gone { .. } => self.gone += 1,
        }
    }
}
