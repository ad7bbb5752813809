//! Tests of the simulated CloudVision by clients.
#![expect(clippy::print_stderr, reason = "a test prints why it was skipped")]

mod change_controls;
mod client;
mod compliance;
mod cvprac;
mod faults;
mod hooks;
mod nodes;
mod sessions;
mod tasks;
mod versions;
mod wire;
