use jiff::Timestamp;

use crate::ComplianceCode;
use crate::wire::{Compliance, Task, TaskDiff};

/// All that is known about a task. `None` is what could not be read.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The task as read last.
    pub task: &'a Task,
    /// The check of its device.
    pub compliance: Option<&'a Compliance>,
    /// Its own configuration difference.
    pub diff: Option<&'a TaskDiff>,
    /// What change controls have to do with it.
    pub attachment: Attachment,
    /// How many tasks of its device were listed, itself among them.
    pub tasks_on_device: usize,
    /// What was seen the first time.
    pub earlier: Option<&'a Reading>,
}

/// Whether an unfinished change control refers to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// None does.
    Free,
    /// One does.
    Held,
    /// The change controls could not be read.
    Unknown,
}

/// A first look at a task that found it empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The task as it was.
    pub task: Task,
    /// The code of its device.
    pub code: ComplianceCode,
    /// When the code was read.
    pub at: Timestamp,
}
