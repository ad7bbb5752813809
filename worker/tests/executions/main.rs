//! Executions on real stores and the embedded bus, with faults: workers are killed, stopped and cut off from the store.

mod actors;
mod approvals;
mod caps;
mod control;
mod cycle;
mod cycle_control;
mod cycle_faults;
mod cycle_provider;
mod faults;
mod flags;
mod fleet;
mod life;
mod parked;
mod phases;
mod provider;
mod run_inputs;
mod scene;
mod store;
mod syncs;
mod waves;
mod worker;
mod workflow;
