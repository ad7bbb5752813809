//! Reads the change logs of NetBox and Nautobot, and what their entries refer to.
//!
//! [`ChangeLogClient`] sends the token to the configured address only: it follows no redirect and no link in an answer. Everything that
//! it reads is bounded, and has a deadline.

mod client;
mod complete;
mod error;
mod log;
mod objects;

pub use client::{ChangeLogClient, ClientOptions};
pub use complete::Completed;
pub use error::ClientError;
pub use log::{LoggedChange, ReadChanges};
