use axum::http::{Method, Uri};
use lockstep_http::ProblemResponse;
use lockstep_store::StoreError;

/// What a caller is told about an error of the store: whether to send the request again.
#[expect(clippy::needless_pass_by_value, reason = "for use with map_err")]
pub(crate) fn of_store(error: StoreError) -> ProblemResponse {
    if error.is_passing() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the store is unavailable"
        );
        return ProblemResponse::unavailable(
            "store-away",
            "the store is away",
            "send it again after a moment",
        );
    }
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "the store cannot be read"
    );
    ProblemResponse::internal()
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
