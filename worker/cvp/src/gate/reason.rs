use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

/// Why a task is kept. The names are stable, because results and scripts contain them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The device is not compliant, so the task is not empty.
    NotCompliant,
    /// The task's own difference is not empty.
    TaskDiff,
    /// CloudVision could not compute the task's own difference.
    TaskDiffFailed,
    /// Two sources contradict each other.
    Disagreement,
    /// CloudVision cannot log in to the device, whatever the code is.
    Unauthorized,
    /// The device does not stream, so its code may be outdated.
    NotStreaming,
    /// The device is not registered.
    NotRegistered,
    /// The device is in zero-touch provisioning.
    ZeroTouch,
    /// The compliance check has a warning or error about the device.
    Indication,
    /// The task is not pending.
    NotPending,
    /// A user began the task, or CloudVision is changing it.
    Busy,
    /// A change control has the task.
    ChangeControl,
    /// Its kind is not `Configlet Push`, or it is about an image.
    NotConfiguration,
    /// It adds or moves a device.
    Move,
    /// It is a rollback.
    Rollback,
    /// It replaces a device.
    Replacement,
    /// The device has several tasks, and the code may be about another one.
    SeveralTasks,
    /// It is younger than the policy requires.
    TooYoung,
    /// The task or the code changed since the first reading.
    Changed,
    /// The second reading is still to come.
    SecondReadingDue,
    /// The check of the device could not be read.
    ComplianceUnreadable,
    /// The change controls could not be read.
    ChangeControlsUnreadable,
    /// The task's own difference could not be read.
    TaskDiffUnreadable,
    /// The task's own difference is required, and this release has none.
    TaskDiffAbsent,
    /// The task could not be read again.
    TaskUnreadable,
    /// A required field is missing.
    Missing(&'static str),
    /// A field has a value of the wrong type.
    Unreadable(&'static str),
    /// It would have been cancelled, but this is a dry run.
    DryRun,
    /// The sweep was stopped before it reached this task.
    Stopped,
}

/// Whether a task is empty, as far as a reason tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptiness {
    Empty,
    NotEmpty,
    /// The reason does not tell.
    Unknown,
}

impl Reason {
    /// The stable name, such as `not-compliant` or `missing:complianceCode`.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NotCompliant => "not-compliant",
            Self::TaskDiff => "task-diff",
            Self::TaskDiffFailed => "task-diff-failed",
            Self::Disagreement => "disagreement",
            Self::Unauthorized => "unauthorized",
            Self::NotStreaming => "not-streaming",
            Self::NotRegistered => "not-registered",
            Self::ZeroTouch => "zero-touch",
            Self::Indication => "indication",
            Self::NotPending => "not-pending",
            Self::Busy => "busy",
            Self::ChangeControl => "change-control",
            Self::NotConfiguration => "not-configuration",
            Self::Move => "move",
            Self::Rollback => "rollback",
            Self::Replacement => "replacement",
            Self::SeveralTasks => "several-tasks",
            Self::TooYoung => "too-young",
            Self::Changed => "changed",
            Self::SecondReadingDue => "second-reading-due",
            Self::ComplianceUnreadable => "compliance-unreadable",
            Self::ChangeControlsUnreadable => "change-controls-unreadable",
            Self::TaskDiffUnreadable => "task-diff-unreadable",
            Self::TaskDiffAbsent => "task-diff-absent",
            Self::TaskUnreadable => "task-unreadable",
            Self::Missing(field) => return Cow::Owned(format!("missing:{field}")),
            Self::Unreadable(field) => return Cow::Owned(format!("unreadable:{field}")),
            Self::DryRun => "dry-run",
            Self::Stopped => "stopped",
        })
    }

    /// Whether the reason may disappear by waiting.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::TooYoung
                | Self::SecondReadingDue
                | Self::ComplianceUnreadable
                | Self::ChangeControlsUnreadable
                | Self::TaskDiffUnreadable
                | Self::TaskUnreadable
        )
    }

    /// Whether the task is empty, as far as this reason tells.
    pub fn emptiness(self) -> Emptiness {
        match self {
            Self::DryRun => Emptiness::Empty,
            Self::NotCompliant
            | Self::TaskDiff
            | Self::NotConfiguration
            | Self::Move
            | Self::Rollback
            | Self::Replacement => Emptiness::NotEmpty,
            _ => Emptiness::Unknown,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}
