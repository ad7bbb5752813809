use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{ProviderList, ProviderView};

use super::parameters;
use crate::context::Shared;

/// `GET /v1/providers`: the providers of this version.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<ProviderList>, ProblemResponse> {
    operator.may_read(ReadScope::Tasks)?;
    let providers = shared.context.providers.list();
    Ok(Json(ProviderList { providers }))
}

/// `GET /v1/providers/{name}`: one provider, with the schemas of its arguments.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<ProviderView>, ProblemResponse> {
    operator.may_read(ReadScope::Tasks)?;
    let name = parameters::segment(name)?;
    let providers = shared.context.providers.list();
    let known: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
    let detail = format!(
        "no provider is named {name:?}; the providers of this version are {}",
        known.join(", ")
    );
    let found = providers.into_iter().find(|provider| provider.name == name);
    found
        .map(Json)
        .ok_or_else(|| ProblemResponse::not_found("unknown-provider", "the provider does not exist", detail))
}
