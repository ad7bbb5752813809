//! Polls the change logs of NetBox and Nautobot for what no webhook brought: neither sends a webhook again that was not received.
//!
//! [`SourcePoll`] is a periodic task under a lease of each source. It reads the log after the place that the store keeps, oldest first, and
//! again what is a few minutes older, since transactions of the source may commit late. A change whose messages the inbox knows was brought
//! by its webhook, or by an earlier poll: webhook and poll make the same messages. The place moves on after the broker confirmed the
//! messages, so a crash in between publishes them again under the same identities.

mod poll;
mod poll_error;
mod recent_changes;

pub use poll::{SourcePoll, SourcePollContext};
