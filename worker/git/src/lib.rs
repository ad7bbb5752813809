//! Runs the `git` command: fetches a branch into a bare clone and reads commits from it. Nothing is ever checked out.
//!
//! Git runs in its own environment: without configuration of the machine or the user, without prompts and hooks, and only with
//! the protocol of the configured address. It has a deadline, bounded output, and a process group that is killed with it. Names of
//! refs and addresses come only from the configuration, are validated, and are passed where git cannot take them for options.

mod command;
mod error;
mod mirror;
mod remote;

pub use command::Git;
pub use error::GitError;
pub use mirror::{Blob, Mirror};
pub use remote::{Remote, RemoteError};
