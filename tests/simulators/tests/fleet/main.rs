//! Tests of simulated devices, by themselves and by other projects' clients.

mod client;
mod pyeapi;
mod sessions;
mod timer;
