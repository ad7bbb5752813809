use axum::http::{Method, Uri};
use lockstep_http::ProblemResponse;
use lockstep_store::{Retryability, StoreError};

/// What a caller is told about an error of the store: whether to send the request again.
#[expect(clippy::needless_pass_by_value, reason = "for use with map_err")]
pub(crate) fn of_store(error: StoreError) -> ProblemResponse {
    match error.retryability() {
        Retryability::Wait | Retryability::Repeat => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the store is away");
            ProblemResponse::unavailable("store-away", "the store is away", "send it again after a moment")
        }
        Retryability::Never => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the store cannot be read"
            );
            ProblemResponse::internal()
        }
    }
}

/// The path exists, for another method.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> ProblemResponse {
    let allowed = if uri.path() == "/v1/events" {
        "POST"
    } else {
        "GET, HEAD"
    };
    lockstep_http::wrong_method(&method, uri.path(), allowed)
}
