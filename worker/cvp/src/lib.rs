#![doc = include_str!("../README.md")]

pub mod client;
mod codes;
pub mod gate;
pub mod sweep;
pub mod wire;

pub use client::{ClientOptions, Credentials, CvpClient, CvpError, Node, RetryOptions};
pub use codes::ComplianceCode;
pub use gate::{Policy, Reason, Verdict};
