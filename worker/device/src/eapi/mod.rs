//! Arista EOS by eAPI: JSON-RPC over HTTPS.

mod driver;
mod failure;
mod request;
mod response;
mod visible;

pub use driver::{EapiDriver, EapiOptions};
pub(crate) use visible::visible;
