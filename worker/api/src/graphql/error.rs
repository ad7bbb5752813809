//! Errors of GraphQL: those of the REST API, with their code in `extensions`.

use async_graphql::{Error, ErrorExtensions};
use lockstep_http::ProblemResponse;
use lockstep_store::StoreError;

use crate::rest::problem;

/// The problem as an error of a field.
#[expect(clippy::needless_pass_by_value, reason = "for use with map_err")]
pub(super) fn of(problem: ProblemResponse) -> Error {
    let problem = problem.problem();
    let message = problem.detail.as_deref().unwrap_or(&problem.title);
    Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", problem.code());
        extensions.set("status", problem.status);
        if let Some(place) = problem.place.as_deref() {
            extensions.set("place", place);
        }
    })
}

/// The failure of the store as an error of a field.
pub(super) fn of_store(error: StoreError) -> Error {
    of(problem::store_error(error))
}
