//! Arista EOS by eAPI: JSON-RPC over HTTPS.

mod configuration;
mod connection;
mod driver;
mod failure;
mod pending;
mod request;
mod response;
mod session;
mod visible;

pub use driver::{EapiDriver, EapiOptions};
pub(crate) use visible::visible;
