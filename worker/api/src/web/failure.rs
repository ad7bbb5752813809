//! Problems as pages.

use axum::extract::MatchedPath;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use lockstep_http::ProblemResponse;
use serde_json::json;

use super::{link, page};

/// Paths that forms are sent to.
const TAKE_FORMS: [&str; 7] = [
    "/devices",
    "/devices/{hostname}",
    "/repositories",
    "/executions/{execution}",
    "/tasks/{task}",
    "/dead-letters",
    "/dead-letters/{number}",
];

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another page says it.
    Problem(ProblemResponse),
    /// Nobody is logged in. The login leads to this path.
    LoggedOut(String),
}

impl From<ProblemResponse> for Failure {
    fn from(problem: ProblemResponse) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let response = match self {
            Self::Problem(response) => response,
            Self::LoggedOut(next) => {
                let login = link::with("/login", [("next", next.as_str())]);
                return Redirect::to(&login).into_response();
            }
        };
        let problem = response.problem();
        let context = json!({"problem": problem, "code": problem.code()});
        let title = problem.title.clone();
        let Ok(text) = page::whole("", &title, "failure.html", &context) else {
            return response.into_response();
        };
        // The status and headers such as Retry-After are those of the problem.
        let (mut parts, _) = response.into_response().into_parts();
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        parts.headers.insert(CONTENT_TYPE, html);
        let (_, body) = Html(text).into_response().into_parts();
        Response::from_parts(parts, body)
    }
}

/// 405 for a page that exists for other methods.
pub(crate) async fn wrong_method(method: Method, uri: Uri, matched: Option<MatchedPath>) -> Response {
    let template = matched.as_ref().map_or("", MatchedPath::as_str);
    let allowed = if TAKE_FORMS.contains(&template) {
        "GET, HEAD, POST"
    } else {
        "GET, HEAD"
    };
    Failure::from(lockstep_http::wrong_method(&method, uri.path(), allowed)).into_response()
}
