//! Tests the client and the sweep with a simulated CloudVision, which shares no types with them.

mod faults;

mod nodes;
mod releases;
mod safety;
mod scene;
mod sessions;
mod sweeps;
