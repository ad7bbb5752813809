//! A simulated identity provider: discovery, a page with accounts, codes with PKCE, signed ID tokens, keys that rotate, and a logout.
//!
//! [`Provider`] answers requests without a network; [`Simulator`] serves one by HTTP. What it signs can be changed with [`Signing`] and
//! [`Provider::set_claim`], how it answers with [`Fault`].

mod keys;
mod page;
mod provider;
mod serve;

pub use provider::{Asked, Endpoint, Fault, Provider, Reply, Signing};
pub use serve::Simulator;
