//! The providers that come with Lockstep.

mod command;
mod ping;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use command::Command;
pub use ping::Ping;

use crate::{ElementFailure, or_empty};

/// Reads arguments that are valid by their schema.
fn read<T: DeserializeOwned>(arguments: &Value) -> Result<T, ElementFailure> {
    let read = T::deserialize(or_empty(arguments).as_ref());
    read.map_err(|error| ElementFailure::new("invalid-arguments", error.to_string()))
}
