//! The providers that come with Lockstep.

mod command;
mod ping;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use command::Command;
pub use ping::Ping;

use crate::{StepFailure, or_empty};

/// Reads arguments that are valid by their schema.
fn read<T: DeserializeOwned>(arguments: &Value) -> Result<T, StepFailure> {
    let read = T::deserialize(or_empty(arguments).as_ref());
    read.map_err(|error| StepFailure::new("invalid-arguments", error.to_string()))
}
