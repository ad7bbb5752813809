//! One contract, every implementation of the bus.
#![cfg(any(feature = "amqp", feature = "embedded"))]

#[cfg(feature = "amqp")]
mod amqp;
mod contract;
#[cfg(feature = "embedded")]
mod embedded;
