//! What the tests of the whole system share: a place to run, processes to kill, messages to send, an oracle to ask.

pub(crate) mod access;
pub(crate) mod clock;
pub(crate) mod http;
#[macro_use]
mod killed_at;
mod lease_log;
pub(crate) mod load;
mod oracle;
mod process;
pub(crate) mod records;
mod scene;

pub(crate) use lease_log::LeaseLog;
pub(crate) use load::{Load, Sent};
pub(crate) use oracle::{Expected, Oracle, cause};
pub(crate) use process::Process;
pub(crate) use scene::{Ground, LADDER_SCALE, Scene};

use std::time::Duration;

/// How long a test waits for what should take seconds, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
