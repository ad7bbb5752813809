use jiff::Timestamp;

use crate::ComplianceCode;
use crate::wire::{Compliance, Task, TaskDiff};

/// Everything that is known about a task. `None` means that it could not be read.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The task as read most recently.
    pub task: &'a Task,
    /// The compliance check of its device.
    pub compliance: Option<&'a Compliance>,
    /// Its own configuration difference.
    pub diff: Option<&'a TaskDiff>,
    /// Whether an unfinished change control refers to it.
    pub attachment: Attachment,
    /// The number of listed tasks of its device, itself included.
    pub tasks_on_device: usize,
    /// The first reading; `None` during it.
    pub earlier: Option<&'a Reading>,
}

/// Whether an unfinished change control refers to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// No change control refers to it.
    Free,
    /// A change control refers to it.
    Held,
    /// The change controls could not be read.
    Unknown,
}

/// The first reading of a task, which found it empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The task at that time.
    pub task: Task,
    /// The code of its device at that time.
    pub code: ComplianceCode,
    /// When the code was read.
    pub at: Timestamp,
}
