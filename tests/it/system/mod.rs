//! Shared parts of the system tests: scenes, processes, messages, and the oracle that checks the outcomes.

pub(crate) mod access;
pub(crate) mod clock;
mod execution_oracle;
pub(crate) mod http;
#[macro_use]
mod killed_at;
mod lease_log;
pub(crate) mod load;
mod oracle;
mod page;
mod process;
pub(crate) mod records;
mod scene;
mod shell;
mod stage_log;

pub(crate) use execution_oracle::{ExecutionOracle, ExecutionRecord, OutcomeCounts};
pub(crate) use lease_log::LeaseLog;
pub(crate) use load::{Load, Sent};
pub(crate) use oracle::{Expected, Oracle, cause};
pub(crate) use page::Page;
pub(crate) use process::Process;
pub(crate) use scene::{Ground, RETRY_DELAY_SCALE, Scene};
pub(crate) use shell::shell;
pub(crate) use stage_log::{Position, StageLog};

use std::time::Duration;

/// Timeout of waits that usually take seconds; long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
