//! A simulated NetBox or Nautobot: objects, a change log, and signed webhooks.
//!
//! Each change is written to the log, and becomes a webhook, which the test sends or loses. Requests without the token are refused. A
//! [`Fault`] changes how requests are answered.

mod respond;
mod simulator;
mod webhook;

pub use simulator::{Change, Fault, Flavor, Inventory, Seen};
pub use webhook::Webhook;
