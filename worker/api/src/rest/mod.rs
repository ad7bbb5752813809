//! Implements the resources under `/v1`: one file each.

pub(crate) mod ages;
mod cause;
pub(crate) mod checks;
pub(crate) mod dead_letters;
pub(crate) mod device_history;
pub(crate) mod devices;
pub(crate) mod elements;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod facts;
pub(crate) mod groups;
mod history;
pub(crate) mod messages;
pub(crate) mod parameters;
pub(crate) mod problem;
pub(crate) mod providers;
mod related_tasks;
pub(crate) mod repositories;
pub(crate) mod results;
pub(crate) mod schedules;
pub(crate) mod selection;
pub(crate) mod stages;
pub(crate) mod surroundings;
pub(crate) mod sync_devices;
pub(crate) mod tasks;
