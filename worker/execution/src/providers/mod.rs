//! The providers that come with Lockstep.

mod check_aggregation;
mod command;
mod ping;
mod rest_facts;
mod template;
mod template_check;
mod template_context;
mod template_facts;
mod verdict;
mod workflow;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use check_aggregation::CheckAggregation;
pub use command::Command;
pub use ping::Ping;
pub use rest_facts::{RestAnswer, RestError, RestFacts, RestRequest, RestService};
pub use template_check::TemplateCheck;
pub use template_facts::TemplateFacts;
pub use workflow::Workflow;

use crate::{StepFailure, or_empty};

/// Reads arguments that are valid by their schema.
fn read<T: DeserializeOwned>(arguments: &Value) -> Result<T, StepFailure> {
    let read = T::deserialize(or_empty(arguments).as_ref());
    read.map_err(|error| StepFailure::new("invalid-arguments", error.to_string()))
}
