//! Errors of GraphQL: those of the REST API and of rejected messages, with what programs need in `extensions`: `code`, `place` and
//! `reason`, and `source` and `id` of a message that was published.

use async_graphql::{Error, ErrorExtensions};
use lockstep_http::ProblemResponse;
use lockstep_protocol::Identity;
use lockstep_store::StoreError;

use crate::rest::problem;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallError {
    code: String,
    reason: String,
    /// The argument that is wrong, with the path in it.
    place: Option<String>,
    /// The HTTP status that the REST API answers with.
    status: Option<u16>,
    /// The message that may have been published.
    message: Option<Identity>,
}

impl CallError {
    /// An error with a stable code, and what is wrong and what to do about it.
    pub(super) fn new(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            reason: reason.into(),
            place: None,
            status: None,
            message: None,
        }
    }

    /// The same, of this argument.
    pub(super) fn at(self, place: impl Into<String>) -> Self {
        Self {
            place: Some(place.into()),
            ..self
        }
    }

    /// The same, about a message that may have been published.
    pub(super) fn of_message(self, message: Identity) -> Self {
        Self {
            message: Some(message),
            ..self
        }
    }

    /// The place of a problem or a rejection, if it has one.
    pub(super) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

impl From<&ProblemResponse> for CallError {
    fn from(problem: &ProblemResponse) -> Self {
        let problem = problem.problem();
        Self {
            code: problem.code().to_owned(),
            reason: problem.detail.as_deref().unwrap_or(&problem.title).to_owned(),
            place: problem.place.clone(),
            status: Some(problem.status),
            message: None,
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::new(&error.reason).extend_with(|_, extensions| {
            extensions.set("code", error.code.as_str());
            extensions.set("reason", error.reason.as_str());
            if let Some(place) = error.place.as_deref() {
                extensions.set("place", place);
            }
            if let Some(status) = error.status {
                extensions.set("status", status);
            }
            if let Some(Identity { source, id }) = &error.message {
                extensions.set("source", source.as_str());
                extensions.set("id", id.as_str());
            }
        })
    }
}

/// The problem as an error of a field.
#[expect(clippy::needless_pass_by_value, reason = "for use with map_err")]
pub(super) fn of(problem: ProblemResponse) -> Error {
    CallError::from(&problem).into()
}

/// The failure of the store as an error of a field.
pub(super) fn of_store(error: StoreError) -> Error {
    of(problem::store_error(error))
}
