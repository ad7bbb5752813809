//! Faults on real servers: no message is lost or applied twice. Crashes and cut connections between the steps of a batch are
//! in `crash.rs`, `cut.rs` and `outage.rs` beside this folder.

mod alarms;
mod clock;
mod cluster;
mod connections;
mod database;
mod disks;
#[cfg(feature = "simulators")]
mod executions;
mod ingress;
mod partitions;
mod replies;
mod sizes;
mod soak;
mod stopped;
#[cfg(feature = "simulators")]
mod syncs;
