//! Simulates a CloudVision Portal: HTTPS on one or several nodes that share one [`World`] of devices, tasks and change controls.
//!
//! A [`Scenario`] is its initial state; [`Knobs`] set its behaviour and can be changed while it runs. A [`Fault`] breaks single
//! requests, a hook ([`CvpSimulator::after`]) changes the world between two requests of a client, a [`Hold`] stops requests
//! until they are released, and the log ([`CvpSimulator::requests`]) lists all requests.

mod scenario;
mod world;

mod knobs;
mod version;

mod endpoint;
mod fault;
mod hooks;
mod log;
mod sessions;
mod state;

mod answer;
mod api;
mod serve;
mod simulator;

pub use crate::hold::Hold;
pub use endpoint::Endpoint;
pub use fault::{Fault, Injection};
pub use knobs::Knobs;
pub use log::{Credential, Logged};
pub use scenario::Scenario;
pub use serve::NodeMode;
pub use simulator::{CvpSimulator, Options, StartError};
pub use version::Version;
pub use world::{
    ChangeControl, ChangeControlStatus, ConfigDiff, Container, Device, Fields, Task, TaskKind, TaskStatus,
    World,
};
