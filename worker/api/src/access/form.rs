use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use lockstep_http::{Operator, ProblemResponse};

use super::session::{self, Session};
use super::{Client, origin};
use crate::context::Shared;

/// The most bytes of a form.
const LONGEST: usize = 1 << 20;
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// The fields of a form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

/// A form that a page of the caller's session sent: its field `csrf` was checked.
#[derive(Debug)]
pub(crate) struct SessionForm {
    /// Who sent it.
    pub(crate) operator: Operator,
    /// From where; with the field `reason` of the form as the reason.
    pub(crate) client: Client,
    /// The headers of the request.
    pub(crate) headers: HeaderMap,
    /// The fields.
    pub(crate) fields: Fields,
    /// The digest of the id of the session.
    pub(super) session: [u8; 32],
}

/// A form that needs no session: that of the login. It comes from a page of the console.
#[derive(Debug)]
pub(crate) struct OpenForm {
    pub(super) client: Client,
    pub(super) headers: HeaderMap,
    pub(super) fields: Fields,
}

impl Fields {
    fn of(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first field with this name; `None` if there is none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }
}

impl FromRequest<Arc<Shared>> for SessionForm {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, ProblemResponse> {
        let (client, headers, fields) = read(request, shared).await?;
        let found = session::find(shared, &headers).await?;
        let found = found.ok_or_else(|| ProblemResponse::unauthorized("a token, or log in at /login"))?;
        let csrf = fields.get(Session::CSRF_FIELD).map(str::as_bytes);
        session::check(&found.session, &headers, csrf)?;
        Ok(Self {
            operator: found.operator,
            client: client.with_reason(fields.get("reason")),
            headers,
            fields,
            session: found.digest,
        })
    }
}

impl FromRequest<Arc<Shared>> for OpenForm {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, ProblemResponse> {
        let (client, headers, fields) = read(request, shared).await?;
        if !origin::is_own(&headers) {
            return Err(session::forged());
        }
        Ok(Self {
            client,
            headers,
            fields,
        })
    }
}

async fn read(request: Request, shared: &Shared) -> Result<(Client, HeaderMap, Fields), ProblemResponse> {
    let (parts, body) = request.into_parts();
    let media = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = media
        .and_then(|media| media.split(';').next())
        .unwrap_or_default();
    if !media.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(ProblemResponse::unsupported_media_type(format!(
            "send the form as {MEDIA_TYPE}"
        )));
    }
    let body = shared.bodies.read(body, LONGEST).await?;
    Ok((Client::of(&parts), parts.headers, Fields::of(&body.bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_the_first_of_a_name_counts() {
        let fields = Fields::of(b"token=a%2Bb+c&next=%2Fdevices&token=other&empty=");
        for (name, expected) in [
            ("token", Some("a+b c")),
            ("next", Some("/devices")),
            ("empty", Some("")),
            ("other", None),
        ] {
            assert_eq!(fields.get(name), expected, "{name}");
        }
    }
}
