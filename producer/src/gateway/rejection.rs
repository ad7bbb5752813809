use lockstep_http::ProblemResponse;
use lockstep_protocol::Code;
use lockstep_protocol::rest::Problem;

use crate::ProducerError;

/// The most characters of a reason; without a limit a quoted value could be as long as the payload.
const MAX_REASON_CHARS: usize = 500;

/// Why a webhook is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WebhookRejection {
    /// The webhook is not authenticated. `why` goes to the log and not to the sender.
    #[error("not authenticated: {why}")]
    Unauthenticated { why: &'static str },
    /// The headers are not those of the forge in the path.
    #[error("{0}")]
    Sender(String),
    /// A header is missing or malformed.
    #[error("header {name} {reason}")]
    Header {
        name: &'static str,
        reason: &'static str,
    },
    /// The content type is not supported.
    #[error("{0}")]
    MediaType(String),
    /// The payload does not have the forge's format.
    #[error("{code} at {place}: {reason}")]
    Payload {
        code: Code,
        place: String,
        reason: String,
    },
}

impl WebhookRejection {
    /// The reason as a label of metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::Sender(_) | Self::Header { .. } | Self::MediaType(_) | Self::Payload { .. } => "invalid",
        }
    }

    pub(super) const fn header(name: &'static str, reason: &'static str) -> Self {
        Self::Header { name, reason }
    }

    pub(super) fn payload(code: Code, place: impl Into<String>, reason: &str) -> Self {
        Self::Payload {
            code,
            place: place.into(),
            reason: reason.chars().take(MAX_REASON_CHARS).collect(),
        }
    }
}

impl From<WebhookRejection> for ProblemResponse {
    fn from(rejection: WebhookRejection) -> Self {
        match rejection {
            WebhookRejection::Unauthenticated { .. } => Problem::new(
                401,
                "unauthorized",
                "the webhook is not signed with a secret of this repository or source",
            )
            .into(),
            WebhookRejection::Sender(detail) => Self::bad_request(
                "wrong-sender",
                "the headers are not those of the forge in the path",
                detail,
            ),
            WebhookRejection::Header { name, reason } => Self::bad_request(
                "invalid-header",
                "a header is missing or malformed",
                format!("{name} {reason}"),
            ),
            WebhookRejection::MediaType(detail) => Self::unsupported_media_type(detail),
            WebhookRejection::Payload { code, place, reason } => {
                let title = match code {
                    Code::InvalidJson => "the body is not JSON",
                    _ => "the payload does not have the format of the forge",
                };
                Problem::new(400, code.as_str(), title)
                    .with_detail(reason)
                    .with_place(place)
                    .into()
            }
        }
    }
}

impl From<ProducerError> for ProblemResponse {
    fn from(error: ProducerError) -> Self {
        match error {
            ProducerError::Publish(error) => Self::from(&*error),
            ProducerError::Closed => Self::stopping(),
            other => {
                tracing::error!(
                    error = &other as &dyn std::error::Error,
                    "cannot publish a webhook or event"
                );
                Self::internal()
            }
        }
    }
}
