//! Deletes what is kept long enough: inbox rows, closed causes, settled dead letters.
//!
//! One process of all does it, now and then, in chunks with pauses between them, so that the lanes hardly notice. What is
//! still needed stays, however old it is: dead letters that nobody settled or that are on their way, the inbox rows of both,
//! and the causes that devices list as open.

mod keep;
mod sweep;

pub use keep::Keep;
pub use sweep::{Deleted, RetentionSweep};
