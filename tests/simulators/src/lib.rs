#![doc = include_str!("../README.md")]

mod authority;
mod connection;

pub mod cvp;
pub mod fleet;

pub use authority::CertificateError;
