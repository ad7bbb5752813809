//! Git by its command: fetches a branch into a bare clone, and reads commits from it. Nothing is ever checked out.
//!
//! Git runs with an environment of its own: no configuration of the machine or the user, no prompts, no hooks, no other
//! protocol than that of the address; with a deadline, with bounded output, and in a process group that is killed with
//! it. Names of refs and addresses come from the configuration only, are checked, and never stand where an option could.

mod command;
mod error;
mod mirror;
mod remote;

pub use command::Git;
pub use error::GitError;
pub use mirror::{Blob, Mirror};
pub use remote::{Remote, RemoteError};
