//! The process between a worker and a program. The worker starts its own executable once more for each run, so that limits can be set
//! without unsafe code, and so that one process is the parent of all that the program leaves behind.
//!
//! It is a session of its own and the reaper of its descendants: a program that detaches itself becomes its child. It counts them and their
//! memory, and ends when all are gone. When the worker closes its end of the control socket, or dies, it kills them at once.

mod channel;
mod limits;
mod run;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

pub(crate) use channel::{STOP, Stdio, send_begin};

/// The only argument of a process that is to be a supervisor.
pub(crate) const ARGUMENT: &str = "supervise-external-provider";

/// What a supervisor is started for. It has secrets in its environment, so it is not printed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Begin {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// The whole environment of the program, but for `HOME` and `TMPDIR`.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where the folder is made in which the program runs.
    pub(crate) temporary: PathBuf,
    /// The most bytes of memory of all processes together, and of the data of each.
    pub(crate) memory: u64,
    /// The most processes at once, the program included.
    pub(crate) processes: u32,
    /// How long the processes may take to end after SIGTERM, in milliseconds.
    pub(crate) grace_ms: u64,
}

/// What a supervisor says: JSON, one a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The program runs: the id of its process group.
    Started(i32),
    /// Nothing of it runs any more.
    Ended(Ended),
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// How many of its processes it left behind, which were killed.
    pub(crate) left: usize,
}

/// What ended the program itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// It exited with this status.
    Exited(i32),
    /// A signal with this number killed it.
    Signal(i32),
    /// It could not be started: why.
    NotStarted(String),
    /// It and its descendants had more memory than they may have.
    Memory,
    /// It had more processes than it may have.
    Processes,
}

/// Is a supervisor if this process was started to be one: runs a program to its end. An executable that runs external providers calls this
/// first in its `main`, and returns the exit code if there is one.
pub fn supervise_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next()? == ARGUMENT && arguments.next().is_none();
    asked.then(|| match run::supervise() {
        Ok(()) => ExitCode::SUCCESS,
        // Its worker sees that the control socket is closed without a report.
        Err(_) => ExitCode::FAILURE,
    })
}
