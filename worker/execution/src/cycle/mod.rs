//! The run cycle: fourteen steps in their immutable order (the seed of neops; docs/reference/run-cycle.md).

mod base;
mod journal;
mod plan;
mod process;
mod result;
mod run;
mod step;
mod tree;
mod unit;

pub(crate) use base::Verdict;
pub use base::{Check, CheckResult, NOT_OK, Produced, process_by_type};
pub use journal::{Journal, JournaledStep};
pub use plan::{Phase, PhaseRole, PlannedStage, StagePlan};
pub use result::{CycleResult, Results, UnitEnd, unit_end};
pub use run::{Stopped, run_unit};
pub use step::{CycleStep, Steps};
pub use tree::{Node, UnitTree};
pub use unit::{Half, PARENT_FAILED, Unit, UnitRun};
