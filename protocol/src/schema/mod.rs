//! JSON Schemas and the AsyncAPI document, generated from the types. `protocol/schema/` holds both as committed files.

mod asyncapi;
mod messages;
mod texts;

pub use asyncapi::asyncapi;
pub use messages::messages;

pub(crate) use texts::{Branch, Id, IpAddress, Label, Note, Path, Time};
