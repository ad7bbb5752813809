//! Implements the resources under `/v1`: one file each.

pub(crate) mod dead_letters;
pub(crate) mod devices;
pub(crate) mod events;
pub(crate) mod messages;
mod parameters;
pub(crate) mod problem;
pub(crate) mod repositories;
