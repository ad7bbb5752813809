//! The contract suite for every implementation of the bus, and tests of each implementation.
#![cfg(any(feature = "amqp", feature = "embedded"))]

#[cfg(feature = "amqp")]
mod amqp;
mod contract;
#[cfg(feature = "embedded")]
mod embedded;
