//! A form of a page, with who sent it.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use lockstep_http::ProblemResponse;

use super::failure::Failure;
use super::viewer::Viewer;
use crate::access::form::LONGEST;
pub(super) use crate::access::form::{Form, invalid};
use crate::context::Shared;

/// A form with its sender. That of a session repeats the token of the session, and so comes from a page of it.
#[derive(Clone, Debug)]
pub(super) struct Submitted {
    pub(super) viewer: Viewer,
    pub(super) form: Form,
}

impl FromRequest<Arc<Shared>> for Submitted {
    type Rejection = Failure;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let viewer = if let Some(viewer) = Viewer::of_session(shared, &parts.headers).await? {
            viewer
        } else {
            let page = parts.uri.path().to_owned();
            Viewer::of_token(&mut parts, shared, &page).await?
        };
        let form = Form::read(parts, body, shared, LONGEST).await?;
        if let Some(session) = &viewer.session {
            form.check(session)?;
        }
        Ok(Self { viewer, form })
    }
}

/// 400 for a button that the form does not have.
pub(super) fn unknown_command(form: &Form) -> ProblemResponse {
    let command = form.text("command").unwrap_or_default();
    invalid(format!(
        "field \"command\": {command:?} is not a command of this page"
    ))
}
