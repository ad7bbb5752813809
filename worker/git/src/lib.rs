//! Runs the `git` command: fetches a branch into a bare clone and reads commits from it. Nothing is ever checked out.
//!
//! Git runs in its own environment: without configuration of the machine or the user, without prompts and hooks, and only with
//! the protocol of the configured address. It has a deadline, bounded output, and a process group that is killed with it. Names of
//! refs and addresses come only from the configuration, are validated, and are passed where git cannot take them for options.
//!
//! Credentials reach git by a private file, never by arguments or environment, and only for the host of the configured address.
//! Redirects are not followed unless allowed. The kernel limits memory, file size and processor time of every process of git
//! ([`Limits`]); the size of a clone is bounded, and what a killed git leaves in it is removed.

mod access;
mod blobs;
mod command;
mod commit_info;
mod error;
mod leftovers;
mod limits;
mod mirror;
mod remote;

pub use blobs::Blob;
pub use command::Git;
pub use commit_info::CommitInfo;
pub use error::GitError;
pub use limits::{Limit, Limits};
pub use mirror::Mirror;
pub use remote::{Remote, RemoteError, RemoteSettings};
