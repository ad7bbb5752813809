//! Who looks at a page.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use lockstep_http::{Operator, ProblemResponse};

use super::failure::Failure;
use crate::access::session::{self, Session};
use crate::context::Shared;

/// The authenticated viewer of a page. As an extractor it leads somebody who is not logged in to the login.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    pub(super) operator: Operator,
    /// The session of the browser; none for a client that sends a token of its own.
    pub(super) session: Option<Session>,
}

impl Viewer {
    /// Who sends a request with these headers: the session of a browser. `None` without a session, or with a token beside it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn of_session(
        shared: &Shared,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, ProblemResponse> {
        if headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        let found = session::find(shared, headers).await?;
        Ok(found.map(|found| Self {
            operator: found.operator,
            session: Some(found.session),
        }))
    }

    /// Who sends a request with a token.
    ///
    /// # Errors
    /// It has none: leads to the login, and from there to `next`. Or the token is not accepted.
    pub(super) async fn of_token(
        parts: &mut Parts,
        shared: &Arc<Shared>,
        next: &str,
    ) -> Result<Self, Failure> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Err(Failure::LoggedOut(next.to_owned()));
        }
        let operator = Operator::from_request_parts(parts, shared).await?;
        Ok(Self {
            operator,
            session: None,
        })
    }

    /// What forms of this viewer repeat; empty without a session.
    pub(super) fn csrf(&self) -> &str {
        self.session.as_ref().map_or("", |session| &session.csrf)
    }
}

impl FromRequestParts<Arc<Shared>> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Failure> {
        match Self::of_session(shared, &parts.headers).await? {
            // Forms are taken by `Submitted`, which checks where they come from.
            Some(_) if !matches!(parts.method, Method::GET | Method::HEAD) => Err(session::forged().into()),
            Some(viewer) => Ok(viewer),
            None => {
                let next = parts.uri.to_string();
                Self::of_token(parts, shared, &next).await
            }
        }
    }
}
