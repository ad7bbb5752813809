//! A CloudVision Portal: HTTPS on one or several nodes that share one [`World`] of devices, tasks and change controls.
//!
//! What it knows at the start is a [`Scenario`]; how it behaves is [`Knobs`], which can be turned while it runs. A [`Fault`]
//! breaks single requests, a hook ([`CvpSimulator::after`]) changes the world between two requests of a client, a [`Hold`]
//! stops requests until they are let pass, and the log ([`CvpSimulator::requests`]) says what was asked.

mod scenario;
mod world;

mod knobs;
mod version;

mod endpoint;
mod fault;
mod hold;
mod hooks;
mod log;
mod sessions;
mod state;

mod answer;
mod api;
mod serve;
mod simulator;

pub use endpoint::Endpoint;
pub use fault::{Fault, Injection};
pub use hold::Hold;
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
