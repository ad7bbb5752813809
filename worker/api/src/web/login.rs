//! The pages of the login and of its end.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use lockstep_http::ProblemResponse;
use serde_json::json;

use super::failure::Failure;
use super::page;
use crate::access::session::Session;

/// The page of the login, which leads to the path `next` afterwards. `problem`: why the last one was refused.
pub(crate) fn login_page(status: StatusCode, problem: Option<&str>, next: &str) -> Response {
    let values = json!({"problem": problem, "next": next});
    html(status, page::whole("", "Log in", "login.html", &values))
}

/// The page that ends a session.
pub(crate) fn logout_page(session: &Session) -> Response {
    let values = json!({"name": session.principal, "expires": session.expires, "csrf": session.csrf});
    html(StatusCode::OK, page::whole("", "Log out", "logout.html", &values))
}

fn html(status: StatusCode, text: Result<String, ProblemResponse>) -> Response {
    match text {
        Ok(text) => (status, Html(text)).into_response(),
        Err(problem) => Failure::from(problem).into_response(),
    }
}
