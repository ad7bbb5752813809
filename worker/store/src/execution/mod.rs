//! Executions: runs of tasks over many elements, with their tasks and schedules.
//!
//! [`Executions`] and [`Tasks`] read. What changes them goes through [`ExecutionTransaction`], a part of the unit of work, so that
//! inbox rows, follow-ups and effects commit together with it.

mod element;
mod query;
mod row;
mod task;
mod transaction;

pub use element::{
    BeginElement, CandidateElement, Candidates, ElementDevice, ElementEnd, ElementOwner, ElementSource,
    EndedElement, ExpiredElement, HeldBack, NewFact, RenewedElements, StoppedElement,
};
pub use query::{
    ElementDetail, ElementQuery, ElementRow, ExecutionQuery, ExecutionReference, Executions, FactRow,
};
pub use row::{CapScope, ElementCounts, ExecutionRow, Halt, NewExecution, StartedExecution, StopRow};
pub use task::{NewSchedule, NewTask, SavedRow, ScheduleRow, TaskRow, Tasks};
pub use transaction::ExecutionTransaction;
