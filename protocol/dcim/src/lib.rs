//! Maps changes of objects in NetBox and Nautobot to events of Lockstep. Pure: it knows nothing of HTTP, queues and stores.
//!
//! - [`netbox`] and [`nautobot`] read what the two systems say about a change, in a webhook and in their change logs, as an
//!   [`ObjectChange`].
//! - [`map`] turns it into [`Event`]s by the [`MappingRules`] of the source, or says why it is ignored.
//! - [`messages`] makes messages of them. Their ids depend on the change alone, not on the way by which it became known, so that a
//!   webhook and the change log lead to the same messages.

mod address;
mod cable;
mod change;
mod device;
mod field;
mod interface;
mod mapping;
mod message;
pub mod nautobot;
pub mod netbox;
mod payload;
mod rules;
#[cfg(test)]
mod tests;

pub use change::{Action, Model, ObjectChange, System};
pub use mapping::{Event, Mapped, map};
pub use message::{actor, cause, message_id, messages, source};
pub use payload::PayloadError;
pub use rules::{GroupKind, MappingRules};
