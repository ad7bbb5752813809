#![doc = include_str!("../README.md")]

mod authority;
mod connection;
mod hold;

pub mod cvp;
pub mod fleet;
pub mod netbox;
pub mod oidc;

pub use authority::CertificateError;
