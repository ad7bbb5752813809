//! GraphQL of the console: what tasks, executions and the fleet are, and the calls of neops that run tasks.
//!
//! One file for each object, with the fields that it has. Each field checks what the token of the request may read or publish.
//! `request` runs requests, which come by `endpoint` (one answer), `event_stream` or `websocket` (subscriptions); `command` publishes
//! what mutations ask for, and `progress` reads what subscriptions listen to.

mod approval;
mod batches;
mod cause;
mod check;
mod client;
mod command;
mod connection;
mod date_time;
mod device;
mod document;
mod element;
mod endpoint;
mod entity_type;
mod error;
mod event_stream;
mod execution;
mod fact;
mod field;
mod group;
mod inputs;
mod interface;
mod listing;
mod loads;
mod lookup;
mod media;
mod mutation;
mod places;
mod progress;
mod provider;
mod query;
mod reference;
mod request;
mod result;
mod run_on;
mod stage;
mod state;
mod streams;
mod subscription;
mod task;
mod websocket;

use std::fmt;

use async_graphql::Schema;

pub(crate) use endpoint::answer;
pub(crate) use progress::Progress;
pub(crate) use streams::Streams;
pub(crate) use websocket::upgrade;

use batches::Batching;
use mutation::Mutation;
use query::Query;
use subscription::Subscription;

/// The schema of the console.
pub(crate) struct ConsoleSchema(Schema<Query, Mutation, Subscription>);

impl fmt::Debug for ConsoleSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleSchema").finish_non_exhaustive()
    }
}

/// How deep the fields of a request may be nested: enough for the introspection of clients.
const MAX_DEPTH: usize = 15;
/// How many fields a request may select, with those of a list multiplied by the length that it asks for.
const MAX_COMPLEXITY: usize = 20_000;
/// How deep fields and fragments may be nested.
const MAX_RECURSION: usize = 32;
/// The most directives of a field.
const MAX_DIRECTIVES: usize = 5;

/// Builds the schema. Requests bring what they need as data: see [`request`].
pub(crate) fn schema() -> ConsoleSchema {
    let schema = Schema::build(Query, Mutation, Subscription)
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COMPLEXITY)
        .extension(Batching)
        .limit_recursive_depth(MAX_RECURSION)
        .limit_directives(MAX_DIRECTIVES)
        .finish();
    ConsoleSchema(schema)
}

/// The schema as text, in the GraphQL schema definition language.
pub fn document() -> String {
    schema().0.sdl()
}
