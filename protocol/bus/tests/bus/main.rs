//! One contract, every implementation of the bus.
#![cfg(any(feature = "amqp", feature = "embedded"))]

mod contract;
#[cfg(feature = "embedded")]
mod embedded;
