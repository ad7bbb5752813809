use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use lockstep_http::{Operator, ProblemResponse};

use crate::context::Shared;

/// The most bytes of a request.
const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// `POST /graphql`: answers one request in JSON.
pub(crate) async fn answer(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ProblemResponse> {
    let buffered = shared.bodies.read(request.into_body(), MAX_REQUEST_BYTES).await?;
    let request: async_graphql::Request = serde_json::from_slice(&buffered.bytes).map_err(|error| {
        let detail = format!("the body is not a request of GraphQL in JSON: {error}");
        ProblemResponse::bad_request("invalid-request", "the request is invalid", detail)
    })?;
    let request = request.data(Arc::clone(&shared)).data(operator);
    Ok(axum::Json(shared.graphql.0.execute(request).await).into_response())
}
