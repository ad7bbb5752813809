//! What fields know of their request.

use std::sync::Arc;

use async_graphql::dataloader::Loader;
use async_graphql::{Context, Error, Result};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_store::Bounded;
use serde_json::Value;

use super::batches::Batches;
use super::error;
use super::loads::Loads;
use crate::context::{ConsoleContext, Shared};

/// The parts of the store, and what else the console knows.
pub(super) fn console<'a>(context: &Context<'a>) -> &'a ConsoleContext {
    &context.data_unchecked::<Arc<Shared>>().context
}

/// Refuses a field that the token of the request may not read.
pub(super) fn may_read(context: &Context<'_>, scope: ReadScope) -> Result<()> {
    let operator = context.data_unchecked::<Operator>();
    operator.may_read(scope).map_err(error::of)
}

/// Loads the value of a key, together with those that other fields of the same level ask for.
pub(super) async fn load<K>(context: &Context<'_>, key: K) -> Result<Option<<Loads as Loader<K>>::Value>>
where
    K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
    Loads: Loader<K, Error = Error>,
{
    context.data_unchecked::<Batches>().load_one(key).await
}

/// JSON that a provider returned, if it fitted into the answer.
pub(super) fn whole<T>(bounded: &Bounded<T>, json: impl FnOnce(&T) -> &Value) -> Result<Value> {
    if bounded.is_whole {
        return Ok(json(&bounded.row).clone());
    }
    let detail = "the request asks for more than 32 MiB of what providers returned; ask for fewer entries at once, by \"first\"";
    let problem = ProblemResponse::bad_request("too-large", "the answer is too large", detail);
    Err(error::of(problem))
}

/// An argument that cannot be used; the detail names it.
pub(super) fn invalid(detail: impl Into<String>) -> Error {
    error::of(ProblemResponse::bad_request(
        "invalid-argument",
        "the arguments are invalid",
        detail,
    ))
}
