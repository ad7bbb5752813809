//! JSON Schemas and the AsyncAPI document, generated from the types, and the broker's definitions file, from the topology.
//! `protocol/schema/` holds the first two as committed files, `docker/rabbitmq/` the third.

mod asyncapi;
mod broker;
mod messages;
mod texts;

pub use asyncapi::asyncapi;
pub use broker::{STANDING_ROLES, broker_definitions, policy_body};
pub use messages::messages;

pub(crate) use texts::{Branch, Id, IpAddress, Label, Note, Path, Time};
