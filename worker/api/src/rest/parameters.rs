use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use lockstep_http::ProblemResponse;

/// The query parameters of a request. Those nobody takes are refused: a misspelt filter would show too much.
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ProblemResponse> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(rejection) => Err(invalid(rejection.body_text())),
        }
    }
}

impl Parameters {
    /// The text of a parameter, if it is there and not empty.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ProblemResponse> {
        let Some(index) = self.0.iter().position(|(key, _)| key == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(index);
        if self.0.iter().any(|(key, _)| key == name) {
            return Err(invalid(format!("parameter {name:?} is there more than once")));
        }
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    /// A parameter as a value, if it is there and not empty.
    pub(crate) fn value<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, ProblemResponse> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(invalid(format!("parameter {name:?}: {error}"))),
        }
    }

    /// To be called last: refuses what nobody took. `known` is for the client to read.
    pub(crate) fn finish(self, known: &str) -> Result<(), ProblemResponse> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!(
                "parameter {name:?} is not known here; there are {known}"
            ))),
        }
    }
}

/// A query that cannot be understood.
pub(crate) fn invalid(detail: impl Into<String>) -> ProblemResponse {
    ProblemResponse::bad_request("invalid-query", "the query cannot be understood", detail)
}
