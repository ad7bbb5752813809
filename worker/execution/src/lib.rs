//! Executions of tasks: what begins, what waits, what ends, and the providers that run on entities. It knows nothing of messages,
//! queues and databases.
#![warn(missing_docs, missing_debug_implementations)]

mod provider;
mod registry;

pub use provider::{
    Devices, ElementDone, ElementFailure, ElementRun, Entity, Provider, ProviderProperties, ProviderType,
    TargetDevice,
};
pub use registry::Registry;
