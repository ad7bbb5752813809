use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use lockstep_bus::PublishError;
use lockstep_protocol::authority::Denial;
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::rest::Problem;
use lockstep_protocol::{Code, DecodeError};

use crate::ReadScope;

/// An error response with an RFC 9457 problem as its body.
#[derive(Debug)]
pub struct ProblemResponse {
    problem: Box<Problem>,
    headers: HeaderMap,
}

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            headers: HeaderMap::new(),
        }
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).expect("problems are plain text and numbers");
        let mut response = (status, body).into_response();
        response.headers_mut().extend(self.headers);
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response
    }
}

impl ProblemResponse {
    /// The body.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// The token is missing, malformed or unknown. The response does not tell which; `accepted` says which tokens the server
    /// accepts, the same to everybody.
    pub fn unauthorized(accepted: &str) -> Self {
        Self::from(
            Problem::new(401, "unauthorized", "a valid bearer token is required")
                .with_detail(format!("send `Authorization: Bearer TOKEN` with {accepted}")),
        )
        .with_header(WWW_AUTHENTICATE, "Bearer")
    }

    /// The token is valid, but does not allow this message type.
    pub fn not_allowed(kind: &str) -> Self {
        Problem::new(
            403,
            Code::NotAllowed.as_str(),
            "the token does not allow messages of this type",
        )
        .with_detail(format!("type {kind:?} is not among the types of this token"))
        .into()
    }

    /// The token is valid, but does not allow this message.
    pub fn denied(denial: Denial) -> Self {
        Problem::new(
            403,
            Code::NotAllowed.as_str(),
            "the token does not allow this message",
        )
        .with_detail(denial.reason)
        .with_place(denial.place)
        .into()
    }

    /// The token is valid, but may not read this.
    pub fn may_not_read(scope: ReadScope) -> Self {
        Problem::new(403, Code::NotAllowed.as_str(), "the token may not read this")
            .with_detail(format!(
                "add {scope:?} to `reads` of the token in the configuration of the console, or create a token with `lockstep tokens create \
                 … --read {scope}`",
                scope = scope.as_str()
            ))
            .into()
    }

    /// The request is malformed.
    pub fn bad_request(code: &str, title: &str, detail: impl Into<String>) -> Self {
        Problem::new(400, code, title).with_detail(detail).into()
    }

    /// The requested object does not exist.
    pub fn not_found(code: &str, title: &str, detail: impl Into<String>) -> Self {
        Problem::new(404, code, title).with_detail(detail).into()
    }

    /// The format of the body is not supported.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Problem::new(
            415,
            "unsupported-media-type",
            "the format of the body is not supported",
        )
        .with_detail(detail)
        .into()
    }

    /// The body is larger than `most` bytes.
    pub fn too_large(most: usize) -> Self {
        Problem::new(413, Code::TooLarge.as_str(), "the body is too large")
            .with_detail(format!("the maximum is {most} bytes"))
            .into()
    }

    /// A dependency is unavailable for now. Sets `Retry-After`.
    pub fn unavailable(code: &str, title: &str, detail: impl Into<String>) -> Self {
        let problem = Problem::new(503, code, title).with_detail(detail);
        Self::from(problem).with_header(RETRY_AFTER, "1")
    }

    /// Too many requests at once.
    pub fn busy() -> Self {
        let problem = Problem::new(429, "too-many-requests", "too many requests at once")
            .with_detail("send it again after a moment");
        Self::from(problem).with_header(RETRY_AFTER, "1")
    }

    /// The request took too long to arrive or to process.
    pub fn timeout() -> Self {
        Self::unavailable(
            "timeout",
            "the request took too long",
            "send it again after a moment",
        )
    }

    /// The server is shutting down.
    pub fn stopping() -> Self {
        Self::unavailable(
            "stopping",
            "the server is stopping",
            "send it again after a moment; accepted messages are not lost",
        )
    }

    /// The server failed for a reason that is in its log.
    pub fn internal() -> Self {
        Problem::new(500, "internal", "internal server error")
            .with_detail("the server's log has the details")
            .into()
    }
}

impl From<PublishError> for ProblemResponse {
    fn from(error: PublishError) -> Self {
        Self::from(&error)
    }
}

impl From<&PublishError> for ProblemResponse {
    fn from(error: &PublishError) -> Self {
        match error {
            PublishError::Full { .. } => {
                let detail = "send it again after a moment, with the same id";
                Self::unavailable("queue-full", "the queue is full", detail)
            }
            PublishError::Closed => Self::stopping(),
            PublishError::TooLarge { .. } => Problem::new(
                413,
                Code::TooLargeForBroker.as_str(),
                "the broker takes no message of this size",
            )
            .with_detail(error.to_string())
            .into(),
            PublishError::Denied { .. } => {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "the broker refused a message"
                );
                Problem::new(
                    502,
                    "broker-refused",
                    "the broker refused the message",
                    )
                    .with_detail("the server's broker user may not publish this type; the server's log has the details")
                .into()
            }
        }
    }
}

impl From<DecodeError> for ProblemResponse {
    fn from(error: DecodeError) -> Self {
        if error.code == Code::TooLarge {
            return Self::too_large(MAX_BODY_BYTES);
        }
        let title = match error.code {
            Code::InvalidJson => "the body is not JSON",
            Code::InvalidEnvelope => "the CloudEvents attributes are missing or malformed",
            Code::InvalidData => "the data does not match the message type",
            Code::UnknownType => "the message type is unknown",
            _ => "the message is not accepted",
        };
        Problem::new(400, error.code.as_str(), title)
            .with_detail(error.reason)
            .with_place(error.place)
            .into()
    }
}

/// The fallback for paths without a route.
pub async fn unknown_path(uri: Uri) -> ProblemResponse {
    let detail = format!("no route matches {}", uri.path());
    ProblemResponse::not_found("unknown-path", "the path does not exist", detail)
}

/// The path exists, but only for the `allowed` methods.
pub fn wrong_method(method: &Method, path: &str, allowed: &'static str) -> ProblemResponse {
    let problem = Problem::new(405, "wrong-method", "the method is not allowed for this path")
        .with_detail(format!("{path} allows {allowed}, not {method}"));
    ProblemResponse::from(problem).with_header(ALLOW, allowed)
}
