//! Reports liveness, readiness and metrics of a process to load balancers, supervisors and Prometheus.
//!
//! - `/healthz` answers 200 as long as the process can answer. It ignores broker and store: restarting a worker repairs
//!   neither.
//! - `/readyz` answers 503 and names what is unavailable. The process continues by itself when broker and store are back.
//! - `/metrics` has the counters of the process and samples of its broker and store.

mod listener;
mod sampler;
mod unavailable;

pub use listener::Listener;
pub use sampler::{ProcessSampler, StoreProbe};
pub(crate) use unavailable::unavailable;
