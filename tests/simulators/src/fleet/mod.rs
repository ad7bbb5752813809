//! Simulates Arista EOS devices: each has an address of its own, and answers eAPI (JSON-RPC over HTTPS).
//!
//! [`Device::numbered`] makes devices that differ in names and serial numbers; [`Behaviour`] breaks single devices, also while
//! the simulator runs.

mod behaviour;
mod command;
mod device;
mod respond;
mod rpc;
mod shared;
mod simulator;

pub use behaviour::Behaviour;
pub use device::{Device, Port};
pub use simulator::{FleetSimulator, Options, StartError};
