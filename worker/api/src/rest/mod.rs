//! The resources under `/v1`.

pub(crate) mod dead_letters;
pub(crate) mod devices;
pub(crate) mod events;
pub(crate) mod messages;
mod parameters;
pub(crate) mod problem;
pub(crate) mod repositories;
