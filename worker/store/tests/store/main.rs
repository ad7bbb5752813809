//! The contract of both stores, and tests of features that only one of them has.

mod access;
mod blocked_migration;
mod broad_model;
#[macro_use]
mod contract;
mod plans;
mod postgres;
mod sqlite;
