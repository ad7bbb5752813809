use std::collections::BTreeSet;
use std::time::Duration;

use crate::ComplianceCode;

/// The settings of the gate. The defaults cancel the fewest tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The codes that count as compliant; by default only `0000`. With another code, a task is cancelled only if CloudVision's own
    /// difference of the task is empty.
    pub codes: BTreeSet<ComplianceCode>,
    /// The least age of a task, because the code lags behind an edit.
    pub min_age: Duration,
    /// The least time between the two readings.
    pub reading_gap: Duration,
    /// Whether change controls must be readable.
    pub change_controls: ChangeControlPolicy,
    /// Whether the difference of the task must be readable.
    pub task_diff: TaskDiffPolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            codes: BTreeSet::from([ComplianceCode::InSync]),
            min_age: Duration::from_mins(1),
            reading_gap: Duration::from_millis(500),
            change_controls: ChangeControlPolicy::Required,
            task_diff: TaskDiffPolicy::WhereAvailable,
        }
    }
}

/// Whether a task may be cancelled although the change controls cannot be read. Change controls that can be read always count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeControlPolicy {
    /// It is kept.
    #[default]
    Required,
    /// It may be cancelled: releases before 2021.2 have no API for change controls.
    Unavailable,
}

/// Whether a task may be cancelled without CloudVision's own difference of it. A difference that can be read always counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskDiffPolicy {
    /// It is kept.
    Required,
    /// It may be cancelled if the release has no such service.
    #[default]
    WhereAvailable,
    /// It may be cancelled even if the service exists and does not answer.
    Unavailable,
}
