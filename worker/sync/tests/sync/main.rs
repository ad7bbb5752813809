//! The run of one device against a device and a store in memory, with faults at every step.

mod device;
mod eos;
mod faults;
mod interleavings;
mod outcomes;
mod plans;
mod store;
mod world;
