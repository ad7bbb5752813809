//! What a browser sends when a form is submitted.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use lockstep_http::ProblemResponse;

use super::failure::Failure;
use super::viewer::Viewer;
use crate::access::Client;
use crate::access::session::{self, Session};
use crate::context::Shared;

/// The most bytes of a form: those of a message, and what the encoding adds.
const MAX_FORM_BYTES: usize = 4 << 20;
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// The fields of a form, in their order.
#[derive(Clone, Debug)]
pub(super) struct Form {
    fields: Vec<(String, String)>,
    /// The headers of the request.
    pub(super) headers: HeaderMap,
    /// From where it comes, with its field `reason` as the reason.
    pub(super) client: Client,
}

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
        let media_type = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let is_form =
            media_type.is_some_and(|it| it.split(';').next().unwrap_or_default().trim() == MEDIA_TYPE);
        if !is_form {
            let detail = format!("send the form as {MEDIA_TYPE}");
            return Err(ProblemResponse::unsupported_media_type(detail).into());
        }
        let body = shared.bodies.read(body, MAX_FORM_BYTES).await?;
        let mut form = Form {
            fields: form_urlencoded::parse(&body.bytes).into_owned().collect(),
            client: Client::of(&parts),
            headers: parts.headers,
        };
        form.client = form.client.clone().with_reason(form.text("reason"));
        if let Some(session) = &viewer.session {
            let csrf = form.text(Session::CSRF_FIELD).map(str::as_bytes);
            session::check(session, &form.headers, csrf)?;
        }
        Ok(Self { viewer, form })
    }
}

impl Form {
    /// A form of a test.
    #[cfg(test)]
    pub(super) fn of(fields: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            fields: fields.iter().map(owned).collect(),
            headers: HeaderMap::new(),
            client: Client::default(),
        }
    }

    /// All fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All values of a field that may occur more than once.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields()
            .filter(move |(field, _)| *field == name)
            .map(|(_, value)| value)
    }

    /// The text of a field without the blanks around it; `None` if it is absent or empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Whether a box is checked.
    pub(super) fn is_checked(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// The value of a field; `None` if it is absent or empty.
    ///
    /// # Errors
    /// 400: it cannot be read.
    pub(super) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, ProblemResponse> {
        let parsed = self.text(name).map(str::parse).transpose();
        parsed.map_err(|error: T::Err| invalid(format!("field {name:?}: {error}")))
    }

    /// The value of a field that has to be filled in.
    ///
    /// # Errors
    /// 400: it is empty, or cannot be read.
    pub(super) fn required<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, ProblemResponse> {
        self.value(name)?
            .ok_or_else(|| invalid(format!("field {name:?} is empty; fill it in")))
    }
}

/// 400 for fields that cannot be used; the detail names the field.
pub(super) fn invalid(detail: impl Into<String>) -> ProblemResponse {
    ProblemResponse::bad_request("invalid-form", "the form is invalid", detail)
}

/// 400 for a button that the form does not have.
pub(super) fn unknown_command(form: &Form) -> ProblemResponse {
    let command = form.text("command").unwrap_or_default();
    invalid(format!(
        "field \"command\": {command:?} is not a command of this page"
    ))
}
