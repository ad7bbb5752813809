//! Tests the built-in providers with simulated devices.

mod command;
mod ping;
mod scene;
