//! One contract for both stores, and what only one of them can do.

#[macro_use]
mod contract;
mod postgres;
mod sqlite;
