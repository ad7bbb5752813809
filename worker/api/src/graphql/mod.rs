//! GraphQL of the console: what tasks, executions and the fleet are, and the calls of neops that run tasks.
//!
//! One file for each object, with the fields that it has. Each field checks what the token of the request may read or publish.

mod batches;
mod cause;
mod check;
mod client;
mod connection;
mod date_time;
mod device;
mod element;
mod endpoint;
mod entity_type;
mod error;
mod execution;
mod fact;
mod field;
mod group;
mod interface;
mod listing;
mod loads;
mod lookup;
mod provider;
mod query;
mod result;
mod run_on;
mod stage;
mod state;
mod task;

use std::fmt;

use async_graphql::{EmptyMutation, EmptySubscription, Schema};

pub(crate) use endpoint::answer;

use batches::Batching;
use query::Query;

/// The schema of the console.
pub(crate) struct ConsoleSchema(Schema<Query, EmptyMutation, EmptySubscription>);

impl fmt::Debug for ConsoleSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleSchema").finish_non_exhaustive()
    }
}

/// How deep the fields of a request may be nested.
const MAX_DEPTH: usize = 15;
/// How many fields a request may select, with those of a list multiplied by the length that it asks for.
const MAX_COMPLEXITY: usize = 20_000;

/// Builds the schema. Requests bring what they need as data: see [`endpoint`].
pub(crate) fn schema() -> ConsoleSchema {
    let schema = Schema::build(Query, EmptyMutation, EmptySubscription)
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COMPLEXITY)
        .extension(Batching)
        .finish();
    ConsoleSchema(schema)
}

/// The schema as text, in the GraphQL schema definition language.
pub fn document() -> String {
    schema().0.sdl()
}
