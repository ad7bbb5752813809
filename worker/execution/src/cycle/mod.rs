//! The run cycle: fourteen steps in their immutable order (the seed of neops; docs/run-cycle.md).

mod base;
mod plan;
mod result;
mod run;
mod step;
mod tree;

pub(crate) use base::process_by_type;
pub use base::{Check, CheckResult, Produced};
pub use plan::{Phase, PhaseRole, PlannedStage, StagePlan};
pub use result::{CycleResult, Results, UnitEnd, unit_end};
pub use run::{Half, Unit, run_unit};
pub use step::{CycleStep, Steps};
pub use tree::{Node, UnitTree};
