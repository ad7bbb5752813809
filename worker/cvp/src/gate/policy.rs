use std::collections::BTreeSet;
use std::time::Duration;

use crate::ComplianceCode;

/// What an operator may change about the gate. The defaults cancel least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The codes that count as compliant; `0000` alone unless widened. Under any other code, a task is only cancelled where
    /// CloudVision itself says that it changes nothing.
    pub codes: BTreeSet<ComplianceCode>,
    /// How old a task must be: the code lags behind an edit.
    pub min_age: Duration,
    /// How long after the first reading the second one counts.
    pub reading_gap: Duration,
    /// What to make of change controls that cannot be read.
    pub change_controls: ChangeControlPolicy,
    /// What to make of a per-task difference that cannot be read.
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

/// Whether a task may be cancelled although the change controls could not be read. Those that can be read count always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeControlPolicy {
    /// It may not.
    #[default]
    Required,
    /// It may: the release (before 2021.2) has no API for them.
    Unavailable,
}

/// Whether a task may be cancelled without CloudVision's own difference of it. One that can be read counts always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskDiffPolicy {
    /// It may not.
    Required,
    /// It may where the release has no such service.
    #[default]
    WhereAvailable,
    /// It may even where the service is there and cannot be read.
    Unavailable,
}
