use axum::extract::rejection::BytesRejection;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use lockstep_bus::PublishError;
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::rest::Problem;
use lockstep_protocol::{Code, DecodeError};

/// A problem on its way to the client.
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
    /// The same problem with a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// No token, a malformed one or a wrong one: always the same words.
    pub fn unauthorized() -> Self {
        Self::from(Problem::new(
            401,
            "unauthorized",
            "a valid bearer token is needed",
        ))
        .with_header(WWW_AUTHENTICATE, "Bearer")
    }

    /// The token is good, but not for this.
    pub fn not_allowed(kind: &str) -> Self {
        Problem::new(
            403,
            Code::NotAllowed.as_str(),
            "the token does not allow messages of this type",
        )
        .with_detail(format!("type {kind:?} is not among the types of this token"))
        .into()
    }

    /// The request cannot be understood.
    pub fn bad_request(code: &str, title: &str, detail: impl Into<String>) -> Self {
        Problem::new(400, code, title).with_detail(detail).into()
    }

    /// What was asked for is not there.
    pub fn not_found(code: &str, title: &str, detail: impl Into<String>) -> Self {
        Problem::new(404, code, title).with_detail(detail).into()
    }

    /// The body is in none of the formats understood.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Problem::new(
            415,
            "unsupported-media-type",
            "the body is in no format understood here",
        )
        .with_detail(detail)
        .into()
    }

    /// More than is borne.
    pub fn too_large(most: usize) -> Self {
        Problem::new(413, Code::TooLarge.as_str(), "the body is too large")
            .with_detail(format!("the most is {most} bytes"))
            .into()
    }

    /// Something is away and will be back.
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

    /// The request took too long to arrive or to be worked.
    pub fn timeout() -> Self {
        Self::unavailable(
            "timeout",
            "the request took too long",
            "send it again after a moment",
        )
    }

    /// The server is about to end.
    pub fn stopping() -> Self {
        Self::unavailable(
            "stopping",
            "the server is stopping",
            "ask again; what was accepted is safe",
        )
    }

    /// The server is at fault.
    pub fn internal() -> Self {
        Problem::new(500, "internal", "the server failed")
            .with_detail("its log says more")
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
                let detail = "nothing is lost: send it again after a moment, with the same id";
                Self::unavailable("queue-full", "the queue is full", detail)
            }
            PublishError::Closed => Self::stopping(),
            PublishError::Denied { .. } => {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "the broker refused a message"
                );
                Problem::new(
                    502,
                    "broker-refused",
                    "the broker does not take messages of this type",
                )
                .with_detail("the broker user of this server may not publish it; the log says more")
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
            Code::InvalidData => "the data does not fit the message type",
            Code::UnknownType => "the message type is not known",
            _ => "the message is not accepted",
        };
        Problem::new(400, error.code.as_str(), title)
            .with_detail(error.reason)
            .with_place(error.place)
            .into()
    }
}

impl From<BytesRejection> for ProblemResponse {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::too_large(MAX_BODY_BYTES);
        }
        Self::bad_request(
            "unreadable-body",
            "the body could not be read",
            "it ended before its length",
        )
    }
}

/// There is nothing under this path.
pub async fn unknown_path(uri: Uri) -> ProblemResponse {
    let detail = format!("there is nothing at {}", uri.path());
    ProblemResponse::not_found("unknown-path", "there is nothing at this path", detail)
}

/// The path exists, for these other methods.
pub fn wrong_method(method: &Method, path: &str, allowed: &'static str) -> ProblemResponse {
    let problem = Problem::new(
        405,
        "wrong-method",
        "the method is not the right one for this path",
    )
    .with_detail(format!("{path} takes {allowed}, not {method}"));
    ProblemResponse::from(problem).with_header(ALLOW, allowed)
}
