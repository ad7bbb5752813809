//! One fault after another, each on real servers: nothing is lost, nothing is doubled. What crashes and cuts between the
//! steps of a batch do is in `crash.rs`, `cut.rs` and `outage.rs` beside this folder.

mod alarms;
mod clock;
mod cluster;
mod connections;
mod database;
mod disks;
mod ingress;
mod partitions;
mod replies;
mod soak;
mod stopped;
