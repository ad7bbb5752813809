#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

mod admission;
mod arguments;
mod progress;
mod provider;
mod registry;
mod schedule;

pub mod providers;

/// What [`Devices`] returns.
pub use lockstep_device::{DeviceError, PooledConnection};

pub use admission::{Admission, Caps, Limit, Request, admit, execution_cap, initially, releasable};
pub use arguments::{ArgumentError, ArgumentsError, check_arguments, merge_arguments, or_empty};
pub use progress::{Counts, Event, Halt, Progress, Step, next};
pub use provider::{
    Devices, ElementDone, ElementFailure, ElementRun, Entity, Provider, ProviderProperties, ProviderType,
    TargetDevice,
};
pub use registry::Registry;
pub use schedule::{Due, Schedule, ScheduleError};
