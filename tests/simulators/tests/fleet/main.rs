//! Tests of simulated devices, by themselves and by other projects' clients.

mod client;
mod napalm;
mod pyeapi;
mod python;
mod scale;
mod sessions;
mod timer;
