//! Executions of tasks: what begins, what waits, what ends, and the providers that run on entities. It knows nothing of messages,
//! queues and databases.
#![warn(missing_docs, missing_debug_implementations)]

mod admission;
mod progress;
mod provider;
mod registry;

pub use admission::{Admission, Caps, Limit, Request, admit, execution_cap, initially, releasable};
pub use progress::{Counts, Event, Halt, Progress, Step, next};
pub use provider::{
    Devices, ElementDone, ElementFailure, ElementRun, Entity, Provider, ProviderProperties, ProviderType,
    TargetDevice,
};
pub use registry::Registry;
