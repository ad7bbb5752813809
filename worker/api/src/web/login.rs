//! The pages of the login and of its end.

use axum::http::header::REFRESH;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use lockstep_http::ProblemResponse;
use serde_json::json;

use super::failure::Failure;
use super::{link, page};
use crate::access::session::Session;

/// The page of the login, which leads to the path `next` afterwards. `problem`: why the last one was refused. `provider`: what the identity
/// provider is called, if there is one.
pub(crate) fn login_page(
    status: StatusCode,
    problem: Option<&str>,
    next: &str,
    provider: Option<&str>,
) -> Response {
    let oidc = link::with("/login/oidc", [("next", next)]);
    let values = json!({"problem": problem, "next": next, "provider": provider, "oidc": oidc});
    html(status, page::whole("", "Log in", "login.html", &values))
}

/// The page that ends a session.
pub(crate) fn logout_page(session: &Session) -> Response {
    let values = json!({"name": session.principal, "expires": session.expires, "csrf": session.csrf});
    html(StatusCode::OK, page::whole("", "Log out", "logout.html", &values))
}

/// The page after the end of a session that began at the identity provider. It leads to the logout there. A redirect would not: the policy
/// of the page with the form allows no other host.
pub(crate) fn logged_out_page(provider: &str, address: &str) -> Response {
    let values = json!({"provider": provider, "address": address});
    let text = page::whole("", "Logged out", "logged_out.html", &values);
    let mut response = html(StatusCode::OK, text);
    if let Ok(refresh) = HeaderValue::from_str(&format!("0; url={address}")) {
        response.headers_mut().insert(REFRESH, refresh);
    }
    response
}

fn html(status: StatusCode, text: Result<String, ProblemResponse>) -> Response {
    match text {
        Ok(text) => (status, Html(text)).into_response(),
        Err(problem) => Failure::from(problem).into_response(),
    }
}
