use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use lockstep_http::{Operator, ProblemResponse, Token};
use lockstep_protocol::rest::Problem;
use lockstep_store::LoginSession;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::cookie::Cookie;
use super::{AccessOptions, oidc, origin, secret};
use crate::context::Shared;
use crate::rest::problem;

/// The cookie with the id of a session.
pub(super) const COOKIE: Cookie = Cookie {
    name: "__Host-lockstep",
    local_name: "lockstep",
};

/// The header with the token of a session, without which the session may only read.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
/// What the token is derived with, so that it is no other digest of the id.
const CSRF_CONTEXT: &str = "lockstep csrf:";

/// How exact the time of the last use is.
const USE_PRECISION: Duration = Duration::from_mins(1);

/// The session of a browser. As an extractor it answers 401 to a request without one.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The token that each form and each request that changes something must repeat: [`Session::CSRF_FIELD`], or the header
    /// `X-CSRF-Token`.
    pub(crate) csrf: String,
    /// Who logged in.
    pub(crate) principal: String,
    /// When it ends, however much it is used.
    pub(crate) expires: Timestamp,
}

/// The session of a request, with its rights.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) session: Session,
    pub(crate) operator: Operator,
    /// The digest of its id, by which it is ended.
    pub(crate) digest: [u8; 32],
    /// Whether it began at the identity provider.
    pub(crate) by_provider: bool,
}

impl Session {
    /// The field of forms that repeats [`Session::csrf`].
    pub(crate) const CSRF_FIELD: &'static str = "csrf";
}

impl FromRequestParts<Arc<Shared>> for Session {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ProblemResponse> {
        let found = find(shared, &parts.headers).await?;
        found
            .map(|found| found.session)
            .ok_or_else(|| ProblemResponse::unauthorized("a token, or log in at /login"))
    }
}

/// The sender of a request without a token: that of its session. One that changes something must repeat the session's token.
///
/// # Errors
/// The request may be forged, or the store cannot be read.
pub(crate) async fn operator(shared: &Shared, parts: &Parts) -> Result<Option<Operator>, ProblemResponse> {
    let Some(found) = find(shared, &parts.headers).await? else {
        return Ok(None);
    };
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let csrf = parts.headers.get(CSRF).map(HeaderValue::as_bytes);
        check(&found.session, &parts.headers, csrf)?;
    }
    Ok(Some(found.operator))
}

/// Checks that a request which changes something comes from a page of this session.
///
/// # Errors
/// The problem to respond with.
pub(crate) fn check(
    session: &Session,
    headers: &HeaderMap,
    csrf: Option<&[u8]>,
) -> Result<(), ProblemResponse> {
    let repeated = csrf.is_some_and(|csrf| bool::from(csrf.ct_eq(session.csrf.as_bytes())));
    if repeated && origin::is_own(headers) {
        Ok(())
    } else {
        Err(forged())
    }
}

/// A request of another page.
pub(crate) fn forged() -> ProblemResponse {
    Problem::new(
        403,
        "forged-request",
        "the request does not come from a page of this session",
    )
    .with_detail(
        "open the page again and repeat what you did; programs send a token as `Authorization: Bearer TOKEN`",
    )
    .into()
}

/// The session that the cookie of a request names, if it is not over.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn find(shared: &Shared, headers: &HeaderMap) -> Result<Option<Found>, ProblemResponse> {
    let Some(id) = COOKIE.of(headers) else {
        return Ok(None);
    };
    let digest = secret::digest(id);
    let store = &shared.context.login_sessions;
    let row = store.login_session(digest).await.map_err(problem::store_error)?;
    let now = shared.context.clock.now();
    let Some(row) = row.filter(|row| is_open(row, now, &shared.context.access)) else {
        return Ok(None);
    };
    let Some(token) = rights(shared, &row, now).await? else {
        return Ok(None);
    };
    if row.used_at + USE_PRECISION < now
        && let Err(error) = store.login_session_used(digest, now).await
    {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the use of a session cannot be recorded"
        );
    }
    Ok(Some(Found {
        by_provider: row.token.is_none(),
        session: Session {
            csrf: csrf_of(id),
            principal: row.principal,
            expires: row.expires_at,
        },
        operator: Operator::of(token),
        digest,
    }))
}

fn is_open(row: &LoginSession, now: Timestamp, options: &AccessOptions) -> bool {
    now < row.expires_at && now < row.used_at + options.idle_session
}

/// The rights of a session: those of its token now, or those that the identity provider said at the login. `None` if it has none any more.
async fn rights(
    shared: &Shared,
    row: &LoginSession,
    now: Timestamp,
) -> Result<Option<Arc<Token>>, ProblemResponse> {
    let token = match (&row.token, row.role) {
        (Some(name), _) => {
            let configured = shared.context.tokens.named(name);
            if configured.is_some() {
                configured
            } else {
                let stored = shared.stored.named(name, now).await;
                stored.map_err(problem::store_error)?
            }
        }
        // Without an identity provider in the configuration, its sessions are over.
        (None, Some(role)) if shared.provider.is_some() => {
            let token = oidc::rights(&row.principal, role, &row.reads, &row.limits);
            let owners = shared.context.tokens.source_owners();
            Some(Arc::new(token.with_source_owners(owners)))
        }
        (None, _) => None,
    };
    // Another token has the name now.
    Ok(token.filter(|token| token.principal() == row.principal))
}

/// The token that pages of a session repeat. Only who has the id can derive it.
pub(super) fn csrf_of(id: &str) -> String {
    hex::encode(Sha256::digest(format!("{CSRF_CONTEXT}{id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_after_its_time_and_when_nobody_uses_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let options = AccessOptions {
            idle_session: Duration::from_secs(100),
            ..AccessOptions::default()
        };
        let row = |used, expires| LoginSession {
            digest: [0; 32],
            principal: "alice".to_owned(),
            token: None,
            role: None,
            begun_at: at(0),
            used_at: at(used),
            expires_at: at(expires),
            address: None,
            reads: Vec::new(),
            limits: lockstep_protocol::AccessLimits::default(),
        };
        for (used, expires, now, expected) in [
            (1000, 5000, 1099, true),
            (1000, 5000, 1100, false),
            (4990, 5000, 4999, true),
            (4990, 5000, 5000, false),
        ] {
            assert_eq!(
                is_open(&row(used, expires), at(now), &options),
                expected,
                "{used} {expires} {now}"
            );
        }
    }
}
