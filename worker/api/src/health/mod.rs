//! Whether a process can do its work, and how it is doing: for load balancers, supervisors and Prometheus.
//!
//! - `/healthz` answers while the process does. It says nothing about others: nobody heals a broker by killing a worker.
//! - `/readyz` says what is away; a process with its broker or its store away is not ready, and works on by itself later.
//! - `/metrics` shows what was counted, and how things are.

mod away;
mod listener;
mod sampler;

pub(crate) use away::away;
pub use listener::Listener;
pub use sampler::{ProcessSampler, StoreProbe};
