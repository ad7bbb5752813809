#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

mod admission;
mod arguments;
mod child;
pub mod cycle;
#[cfg(feature = "fake")]
pub mod fake;
mod form;
mod progress;
mod provider;
mod registry;
mod schedule;

pub mod providers;

/// What [`Devices`] returns.
pub use lockstep_device::{DeviceConnection, DeviceError, PooledConnection};

pub use admission::{Admission, Caps, Limit, Request, Staged, admit, execution_cap, initially, releasable};
pub use arguments::{ArgumentError, ArgumentsError, check_arguments, merge_arguments, or_empty};
pub use child::{Child, ChildError, ChildExecutions, ChildTargets, NewChild, TaskOfStep};
pub use cycle::{CycleResult, CycleStep, Steps};
pub use form::{
    RunInput, RunInputError, check_run_input, check_ui_schema, merge_run_input, merge_run_ui_schema,
    with_defaults,
};
pub use progress::{Counts, Event, Halt, Progress, StageProgress, Step, next};
pub use provider::{
    Devices, ElementAttempt, Endpoint, Entity, EntityData, Parked, Provider, ProviderProperties,
    ProviderType, StepDone, StepFailure, StepResult, StepRun, TargetDevice,
};
pub use registry::Registry;
pub use schedule::{Due, Schedule, ScheduleError};
