//! Executions: the commands about tasks, schedules and executions, and the elements that run on this worker.
//!
//! [`ExecutionRunner`] processes the commands, each in one unit of work. [`ElementRunner`] is the claimant of the devices lane: it
//! claims elements, runs their providers, and commits their ends in groups. [`ElementsTask`] finds what workers left undone. The pure
//! engine in `lockstep-execution` decides what follows from what, the rows in the store say what is, and messages only bring it about
//! sooner.

mod advance;
mod announce;
mod approvals;
mod children;
mod claim;
mod cluster;
mod context;
mod control;
mod device_leases;
mod element;
mod element_end;
mod element_runner;
mod finish;
#[cfg(test)]
mod fixtures;
mod journal;
mod message;
mod names;
mod options;
mod periodic;
mod persons;
mod phase;
mod plan;
mod publisher;
mod relaunch;
mod runner;
mod running;
mod schedules;
mod sequence;
mod settle;
mod start;
mod step_data;
mod sweep;
mod sync;
mod tasks;
mod unit;
mod workflow;

pub use context::ExecutionContext;
pub use element_runner::ElementRunner;
pub use message::ExecutionMessage;
pub use options::{ExecutionOptions, SyncOptions};
pub use periodic::ElementsTask;
pub use persons::Persons;
pub use runner::ExecutionRunner;
