use axum::http::{Method, Uri};
use lockstep_http::HttpResponse;

use crate::store::{Retryability, StoreError};

impl From<StoreError> for HttpResponse {
    fn from(error: StoreError) -> Self {
        match error.retryability() {
            Retryability::Wait | Retryability::Repeat => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the store is away");
                Self::unavailable("store-away", "the store is away", "send it again after a moment")
            }
            Retryability::Never => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the store cannot be read"
                );
                Self::internal()
            }
        }
    }
}

/// The path exists, for another method.
pub(super) async fn wrong_method(method: Method, uri: Uri) -> HttpResponse {
    let allowed = if uri.path() == "/v1/events" {
        "POST"
    } else {
        "GET, HEAD"
    };
    lockstep_http::wrong_method(&method, uri.path(), allowed)
}
