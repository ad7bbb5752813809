//! Simulates Arista EOS devices: each has an address of its own, and answers eAPI (JSON-RPC over HTTPS).
//!
//! [`Device::numbered`] makes devices that differ in names and serial numbers; [`Behaviour`] breaks single devices, also while
//! the simulator runs.

mod behaviour;
mod clock;
mod command;
mod configuration;
mod configurations;
mod configure;
mod device;
mod duration;
mod execute;
mod failure;
mod injection;
mod knobs;
mod lifecycle;
mod record;
mod respond;
mod rpc;
mod session;
mod session_list;
mod shared;
mod show;
mod simulator;

pub use crate::hold::Hold;
pub use behaviour::Behaviour;
pub use clock::Time;
pub use configuration::Refused;
pub use configurations::Problem;
pub use device::{Device, Port};
pub use injection::{Fault, Injection, When};
pub use knobs::{Dialect, Knobs};
pub use record::{Change, Reason, Recorded, Totals};
pub use session::{ForeignSession, OpenSession};
pub use simulator::{FleetSimulator, Options, StartError};
