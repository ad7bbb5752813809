//! Executions: the commands about tasks, schedules and executions, and the elements that run on this worker.

mod message;

pub use message::ExecutionMessage;
