//! Executions: the commands about tasks, schedules and executions, and the elements that run on this worker.

mod context;
mod message;
mod options;

pub use context::ExecutionContext;
pub use message::ExecutionMessage;
pub use options::ExecutionOptions;
