#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

mod arguments;
mod cluster;
mod item;
mod outcome;
mod properties;
mod provider;
mod summary;

pub use cluster::SweptCluster;
pub use provider::CvpSweep;
