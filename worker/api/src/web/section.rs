//! Parts of a page that need rights of their own.

use axum::Json;
use lockstep_http::ProblemResponse;
use serde::Serialize;
use serde_json::{Value, json};

use super::templates;

/// What a part of a page shows: `data`, or in its place `problem`, HTML that says why not. An unavailable store fails the page.
///
/// # Errors
/// The problem, unless it is about this part only.
pub(super) fn section<T: Serialize>(
    found: Result<Json<T>, ProblemResponse>,
) -> Result<Value, ProblemResponse> {
    match found {
        Ok(Json(data)) => Ok(json!({"data": data, "problem": null})),
        Err(problem) if is_of_part(problem.problem().status) => {
            Ok(json!({"data": null, "problem": problem.problem()}))
        }
        Err(problem) => Err(problem),
    }
}

/// Whether the rest of the page can be shown: the viewer may not read the part, or there is nothing of it.
fn is_of_part(status: u16) -> bool {
    matches!(status, 403 | 404)
}

/// HTML that says why a part is not there.
pub(super) fn why_not(problem: &Value) -> Result<String, ProblemResponse> {
    templates::render("problem.html", &json!({"problem": problem}))
}
