//! Executions: runs of tasks over many elements, with their tasks and schedules.
//!
//! [`Executions`] and [`Tasks`] read. What changes them goes through [`ExecutionTransaction`], a part of the unit of work, so that
//! inbox rows, follow-ups and effects commit together with it.

mod cycle;
mod element;
mod json_text;
mod query;
mod row;
mod task;
mod transaction;

pub use cycle::{
    CheckRow, EntityResult, EntityResultQuery, JournalEntry, NewCheck, PhaseTask, RunCycle, UnitDevice,
    UnitEntities, UnitEntity, UnitLevels,
};
pub use element::{
    BeginElement, BegunStage, CandidateElement, Candidates, ElementDevice, ElementEnd, ElementLevels,
    ElementOwner, ElementSource, EndedElement, ExpiredElement, HeldBack, ManagementEndpoint, NamedEntities,
    NewFact, ParkedElement, Parking, QueuedElement, RenewedElements, StoppedElement, SyncBound, SyncDevices,
    SyncSource,
};
pub use json_text::JsonText;
pub use query::{
    ElementDetail, ElementQuery, ElementRow, ExecutionQuery, ExecutionReference, Executions, FactRow,
};
pub use row::{
    CapScope, ElementCounts, ExecutionRow, Halt, LeftOut, NewExecution, OpenExecution, ParentStep,
    PlannedStage, StageRow, StartedExecution, StopRow,
};
pub use task::{NewSchedule, NewTask, SavedRow, ScheduleRow, TaskRow, Tasks};
pub use transaction::ExecutionTransaction;
