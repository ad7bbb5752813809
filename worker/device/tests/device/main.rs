//! Tests the eAPI driver and the pool with simulated devices, which share no types with them.

mod eapi;
mod pool;
mod scene;
mod sessions;
