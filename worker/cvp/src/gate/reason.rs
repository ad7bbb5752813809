use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

/// Why a task is kept. The names are stable: results and scripts carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The device is not compliant: the task has something to do.
    NotCompliant,
    /// The task's own difference is not empty.
    TaskDiff,
    /// CloudVision could not work out the task's own difference.
    TaskDiffFailed,
    /// Two sources contradict each other.
    Disagreement,
    /// CloudVision may not log in to the device, whatever the code says.
    Unauthorized,
    /// The device does not stream, so that its code is old.
    NotStreaming,
    /// The device is not registered.
    NotRegistered,
    /// The device is in zero-touch provisioning.
    ZeroTouch,
    /// The check warns about the device.
    Indication,
    /// The task is not pending.
    NotPending,
    /// Somebody began the task, or CloudVision is changing it.
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
    /// The device has several tasks, and the code cannot say which of them it is about.
    SeveralTasks,
    /// It is younger than it has to be.
    TooYoung,
    /// It is no longer what it was at the first reading.
    Changed,
    /// Compliance was read once, and has to be read twice.
    SecondReadingDue,
    /// The check of the device could not be read.
    ComplianceUnreadable,
    /// The change controls could not be read.
    ChangeControlsUnreadable,
    /// The task's own difference could not be read.
    TaskDiffUnreadable,
    /// The task's own difference is demanded, and this release has none.
    TaskDiffAbsent,
    /// The task could not be read again.
    TaskUnreadable,
    /// A field that must be there is not.
    Missing(&'static str),
    /// A field holds nothing it can hold.
    Unreadable(&'static str),
    /// It would have been cancelled, had this not been a dry run.
    DryRun,
    /// The sweep was told to stop before it came to this task.
    Stopped,
}

/// What a reason says about whether a task is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptiness {
    /// It is.
    Empty,
    /// It is not.
    NotEmpty,
    /// Nothing.
    Unknown,
}

impl Reason {
    /// The stable name.
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

    /// Whether waiting alone can end it; such a task is worth another look soon.
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

    /// What it says about whether the task is empty.
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
