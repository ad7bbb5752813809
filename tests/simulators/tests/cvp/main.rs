//! The simulated CloudVision as its clients see it.

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
