//! Generates the JSON Schemas and the AsyncAPI document from the types, and the broker's definitions file from the topology.
//! The first two are committed in `protocol/schema/`, the third in `docker/rabbitmq/`.

mod asyncapi;
mod broker;
mod messages;
mod texts;

pub use asyncapi::asyncapi;
pub use broker::{STANDING_ROLES, broker_definitions, policy_body};
pub use messages::messages;

pub(crate) use texts::{Branch, EntityName, Id, IpAddress, Label, Note, Path, Time};
