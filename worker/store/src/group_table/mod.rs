//! Reads and writes groups: their rules, and the members by list and by rule, on both databases.
//!
//! A row of `group_member` says of a device that it is a member by list, by rule, or by both. It is deleted when it is neither.

mod entity;
mod member;
mod primary;
mod query;
mod replace;
mod rules;

#[cfg(test)]
pub(crate) use entity::OF_MANY;
pub(crate) use entity::{by_id, by_name, of_devices, page};
pub(crate) use member::write;
pub(crate) use primary::write_primaries;
pub(crate) use query::{find, list, named};
pub(crate) use replace::{NewPrimary, replace};
pub(crate) use rules::{KnownRules, read};

use primary::write_primaries_by_name;

/// How many rows one statement writes.
const CHUNK: usize = 20_000;

const READ: &str = "read groups";
const WRITE: &str = "write groups";
