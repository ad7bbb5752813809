use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use lockstep_http::{KnowsTokens, ProblemResponse, Token};
use lockstep_protocol::{AccessLimits, AuditKind};
use lockstep_store::{AuditActor, LoginSession, NewAuditEntry};

use super::form::{OpenForm, SessionForm};
use super::oidc::IdentityProvider;
use super::session::Session;
use super::{secret, session};
use crate::context::Shared;
use crate::rest::problem;
use crate::web;

/// Where the browser goes after a login that was not asked for by a page.
const HOME: &str = "/";
const LOGIN: &str = "/login";
/// The longest path to which the browser returns after a login.
const LONGEST_NEXT: usize = 2000;

/// `GET /login?next=PATH`: the page of the login.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next");
    let next = next.map(|(_, next)| next.into_owned()).unwrap_or_default();
    web::login_page(StatusCode::OK, None, next_path(&next), provider(&shared))
}

/// `POST /login`: begins a session with the token in the form, and leads to `next`.
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    OpenForm(form): OpenForm,
) -> Result<Response, ProblemResponse> {
    let next = next_path(form.text("next").unwrap_or_default());
    let secret = form.text("token").unwrap_or_default();
    let Some(operator) = shared.holder(secret).await? else {
        let entry = entry(AuditKind::LoginFailed, form.client.nobody());
        record_refused(&shared, entry).await?;
        let problem = Some("The console does not accept this token.");
        let status = StatusCode::UNAUTHORIZED;
        return Ok(web::login_page(status, problem, next, provider(&shared)));
    };
    let entry = entry(AuditKind::Login, form.client.actor(&operator));
    let id = begin_session(&shared, session_of(&shared, &operator), entry).await?;
    let lasts = shared.context.access.longest_session;
    Ok(redirect(next, &session::COOKIE.set(&form.headers, &id, lasts)))
}

/// `GET /logout`: the page that ends the session.
pub(crate) async fn end_page(session: Session) -> Response {
    web::logout_page(&session)
}

/// `POST /logout`: ends the session, and leads to the logout of the identity provider if it began there, else to `next` or the login.
pub(crate) async fn end(
    State(shared): State<Arc<Shared>>,
    submitted: SessionForm,
) -> Result<Response, ProblemResponse> {
    let SessionForm {
        operator,
        form,
        session,
        by_provider,
    } = submitted;
    let ended = shared.context.login_sessions.end_login_session(session);
    ended.await.map_err(problem::store_error)?;
    let entry = entry(AuditKind::Logout, form.client.actor(&operator));
    shared.audit(&[entry]).await?;
    let removed = session::COOKIE.set(&form.headers, "", Duration::ZERO);
    if let Some(provider) = shared.provider.as_ref().filter(|_| by_provider)
        && let Some(address) = provider.end_session().await
    {
        let mut response = web::logged_out_page(provider.name(), &address);
        append_cookie(&mut response, &removed);
        return Ok(response);
    }
    let next = form.text("next").map_or(LOGIN, next_path);
    Ok(redirect(next, &removed))
}

/// A session with the rights of a token.
fn session_of(shared: &Shared, token: &Token) -> LoginSession {
    let now = shared.context.clock.now();
    LoginSession {
        // Set where the session begins.
        digest: [0; 32],
        principal: token.principal().to_owned(),
        token: Some(token.name().to_owned()),
        role: None,
        begun_at: now,
        used_at: now,
        expires_at: now + shared.context.access.longest_session,
        address: None,
        reads: Vec::new(),
        limits: AccessLimits::default(),
    }
}

/// Begins a session after the audit has this entry, and returns its id.
pub(super) async fn begin_session(
    shared: &Shared,
    session: LoginSession,
    entry: NewAuditEntry,
) -> Result<String, ProblemResponse> {
    let id = secret::new_id();
    let session = LoginSession {
        digest: secret::digest(&id),
        address: entry.actor.address.clone(),
        ..session
    };
    shared.audit(&[entry]).await?;
    let begun = shared.context.login_sessions.begin_login_session(&session).await;
    begun.map_err(problem::store_error)?;
    Ok(id)
}

/// Records a login that was refused: at most ten each minute, so that nobody fills the audit.
pub(super) async fn record_refused(shared: &Shared, entry: NewAuditEntry) -> Result<(), ProblemResponse> {
    let Some(omitted) = shared.refused_logins.line() else {
        return Ok(());
    };
    let omitted = (omitted > 0).then(|| format!("{omitted} more before it"));
    let parts: Vec<String> = entry.detail.into_iter().chain(omitted).collect();
    let entry = NewAuditEntry {
        detail: (!parts.is_empty()).then(|| parts.join("; ")),
        ..entry
    };
    shared.audit(&[entry]).await
}

pub(super) fn entry(kind: AuditKind, actor: AuditActor) -> NewAuditEntry {
    NewAuditEntry {
        kind,
        actor,
        message: None,
        message_type: None,
        subject: None,
        reason: None,
        detail: None,
    }
}

/// Leads a browser to an address, with a cookie.
pub(super) fn redirect(path: &str, cookie: &str) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in [(LOCATION, path), (SET_COOKIE, cookie)] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Adds a cookie to a response.
pub(super) fn append_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// What the page of the login calls the identity provider, if there is one.
fn provider(shared: &Shared) -> Option<&str> {
    shared.provider.as_ref().map(IdentityProvider::name)
}

/// A path of this console to which the browser may return; [`HOME`] for everything else, so that a link to the login leads nowhere else.
pub(super) fn next_path(next: &str) -> &str {
    let is_path = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= LONGEST_NEXT
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path { next } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_paths_of_the_console_only() {
        for (next, expected) in [
            ("/devices?state=MANAGED", "/devices?state=MANAGED"),
            ("", "/"),
            ("//evil.example.org", "/"),
            ("/\\evil.example.org", "/"),
            ("https://evil.example.org", "/"),
            ("/a\r\nSet-Cookie: b", "/"),
            ("javascript:alert(1)", "/"),
        ] {
            assert_eq!(next_path(next), expected, "{next}");
        }
    }
}
