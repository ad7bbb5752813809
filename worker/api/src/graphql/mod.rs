//! GraphQL of the console: what tasks, executions and the fleet are, and the calls of neops that run tasks.
//!
//! One file for each object, with the fields that it has. Each field checks what the token of the request may read or publish.

mod endpoint;
mod error;
mod execution;
mod query;
mod task;

use std::fmt;

use async_graphql::{EmptyMutation, EmptySubscription, Schema};

pub(crate) use endpoint::answer;

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
        .finish();
    ConsoleSchema(schema)
}

/// The schema as text, in the GraphQL schema definition language.
pub fn document() -> String {
    schema().0.sdl()
}
