use axum::http::{Method, Uri};
use lockstep_http::ProblemResponse;
use lockstep_store::StoreError;

/// The answer to a request that failed in the store: 503 if sending it again can help, else 500.
#[expect(clippy::needless_pass_by_value, reason = "for use with map_err")]
pub(crate) fn store_error(error: StoreError) -> ProblemResponse {
    if error.is_passing() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the store is unavailable"
        );
        return ProblemResponse::unavailable(
            "store-away",
            "the store is unavailable",
            "ask again after a moment",
        );
    }
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "the store cannot be read"
    );
    ProblemResponse::internal()
}

/// 405 for a path of the API that exists for other methods.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> ProblemResponse {
    let allowed = match uri.path() {
        "/v1/events" | "/graphql" => "POST",
        "/v1/tasks/validate" | "/v1/tokens" | "/login" | "/logout" => "GET, HEAD, POST",
        path if path.starts_with("/v1/tokens/")
            && (path.ends_with("/rotate") || path.ends_with("/revoke")) =>
        {
            "POST"
        }
        path if path.starts_with("/v1/sessions/") => "POST",
        _ => "GET, HEAD",
    };
    lockstep_http::wrong_method(&method, uri.path(), allowed)
}
