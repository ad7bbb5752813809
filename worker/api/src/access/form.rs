use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use lockstep_http::{Operator, ProblemResponse};

use super::session::{self, Session};
use super::{Client, origin};
use crate::context::Shared;

/// The most bytes of a form of somebody who is known: those of a message, and what the encoding adds.
pub(crate) const LONGEST: usize = 4 << 20;
/// The most bytes of a form of somebody who is not known.
const LONGEST_OPEN: usize = 1 << 16;
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// What a browser sends when a form is submitted.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// In their order.
    fields: Vec<(String, String)>,
    /// The headers of the request.
    pub(crate) headers: HeaderMap,
    /// From where it comes, with its field `reason` as the reason.
    pub(crate) client: Client,
}

/// A form that a page of the caller's session sent: its field `csrf` was checked.
#[derive(Debug)]
pub(crate) struct SessionForm {
    /// Who sent it.
    pub(super) operator: Operator,
    pub(super) form: Form,
    /// The digest of the id of the session.
    pub(super) session: [u8; 32],
    /// Whether the session began at the identity provider.
    pub(super) by_provider: bool,
}

/// A form that needs no session: that of the login. It comes from a page of the console.
#[derive(Debug)]
pub(crate) struct OpenForm(pub(super) Form);

impl Form {
    /// Reads a form of at most so many bytes.
    ///
    /// # Errors
    /// It is no form, is too long, or does not arrive in time.
    pub(crate) async fn read(
        parts: Parts,
        body: Body,
        shared: &Shared,
        longest: usize,
    ) -> Result<Self, ProblemResponse> {
        let media_type = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media_type = media_type.and_then(|it| it.split(';').next()).unwrap_or_default();
        if !media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
            let detail = format!("send the form as {MEDIA_TYPE}");
            return Err(ProblemResponse::unsupported_media_type(detail));
        }
        let body = shared.bodies.read(body, longest).await?;
        let client = Client::of(&parts);
        Ok(Self::of_parts(parts.headers, client, &body.bytes))
    }

    fn of_parts(headers: HeaderMap, client: Client, body: &[u8]) -> Self {
        let mut form = Self {
            fields: form_urlencoded::parse(body).into_owned().collect(),
            headers,
            client,
        };
        form.client = form.client.clone().with_reason(form.text("reason"));
        form
    }

    /// A form of a test.
    #[cfg(test)]
    pub(crate) fn of(fields: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            fields: fields.iter().map(owned).collect(),
            headers: HeaderMap::new(),
            client: Client::default(),
        }
    }

    /// Checks that a page of this session sent the form.
    ///
    /// # Errors
    /// The problem to respond with.
    pub(crate) fn check(&self, session: &Session) -> Result<(), ProblemResponse> {
        let csrf = self.text(Session::CSRF_FIELD).map(str::as_bytes);
        session::check(session, &self.headers, csrf)
    }

    /// All fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All values of a field that may occur more than once.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields()
            .filter(move |(field, _)| *field == name)
            .map(|(_, value)| value)
    }

    /// The text of a field without the blanks around it; `None` if it is absent or empty. The first of a name counts.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Whether a box is checked.
    pub(crate) fn is_checked(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// The value of a field; `None` if it is absent or empty.
    ///
    /// # Errors
    /// 400: it cannot be read.
    pub(crate) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, ProblemResponse> {
        let parsed = self.text(name).map(str::parse).transpose();
        parsed.map_err(|error: T::Err| invalid(format!("field {name:?}: {error}")))
    }

    /// The value of a field that has to be filled in.
    ///
    /// # Errors
    /// 400: it is empty, or cannot be read.
    pub(crate) fn required<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, ProblemResponse> {
        self.value(name)?
            .ok_or_else(|| invalid(format!("field {name:?} is empty; fill it in")))
    }
}

/// 400 for fields that cannot be used; the detail names the field.
pub(crate) fn invalid(detail: impl Into<String>) -> ProblemResponse {
    ProblemResponse::bad_request("invalid-form", "the form is invalid", detail)
}

impl FromRequest<Arc<Shared>> for SessionForm {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, ProblemResponse> {
        let (parts, body) = request.into_parts();
        let found = session::find(shared, &parts.headers).await?;
        let found = found.ok_or_else(|| ProblemResponse::unauthorized("a token, or log in at /login"))?;
        let form = Form::read(parts, body, shared, LONGEST).await?;
        form.check(&found.session)?;
        Ok(Self {
            operator: found.operator,
            form,
            session: found.digest,
            by_provider: found.by_provider,
        })
    }
}

impl FromRequest<Arc<Shared>> for OpenForm {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, ProblemResponse> {
        let (parts, body) = request.into_parts();
        let form = Form::read(parts, body, shared, LONGEST_OPEN).await?;
        if !origin::is_own(&form.headers) {
            return Err(session::forged());
        }
        Ok(Self(form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_the_first_of_a_name_counts() {
        let body = b"token=a%2Bb+c&next=%2Fdevices&token=other&empty=&reason=+why+";
        let form = Form::of_parts(HeaderMap::new(), Client::default(), body);
        for (name, expected) in [
            ("token", Some("a+b c")),
            ("next", Some("/devices")),
            ("empty", None),
            ("other", None),
        ] {
            assert_eq!(form.text(name), expected, "{name}");
        }
        assert_eq!(form.all("token").collect::<Vec<_>>(), ["a+b c", "other"]);
        assert_eq!(form.client.reason().unwrap(), Some("why"));
    }
}
