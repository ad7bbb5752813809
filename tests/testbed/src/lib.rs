//! The environment of Lockstep's tests: brokers, databases, network faults, and bounded waits.
//!
//! Most tests share the broker and the database of the run, each with its own virtual host and schema: [`vhost()`] and
//! [`schema()`]. A test that kills or restarts a server starts a private one, [`Broker::start`] or [`Database::start`], and has
//! `private_` in its name, so that the runner runs such tests one at a time.
//! [`FaultProxy`] injects network faults, [`wait::until`] waits for a condition; tests never sleep.
//!
//! The binary `testbed` of this crate starts the shared servers, then the test runner; `tests/run` calls it.

pub mod wait;

mod broker;
mod certificates;
mod cluster;
mod database;
mod disk;
pub mod environment;
mod http;
pub mod install;
mod node;
mod ports;
mod process;
mod proxy;
mod python;
mod repository;
mod schema;
mod url;
mod vhost;

pub use broker::Broker;
pub use cluster::Cluster;
pub use database::Database;
pub use disk::Disk;
pub use node::node_with;
pub use ports::free_port;
pub use proxy::{FaultProxy, Mode};
pub use python::{installed_packages, python_with, python_with_only};
pub use repository::Repository;
pub use schema::{Schema, schema};
pub use vhost::{Connection, Queue, User, Vhost, vhost};
