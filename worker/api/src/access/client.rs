use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use lockstep_http::{Operator, Peer, ProblemResponse, binding};
use lockstep_protocol::bounds::MAX_NOTE;
use lockstep_store::AuditActor;

/// The header in which a client says why it sends a request: percent-encoded UTF-8.
pub(crate) const REASON: HeaderName = HeaderName::from_static("lockstep-reason");

/// The most characters of what a client calls itself.
const LONGEST_AGENT: usize = 200;

/// From where a request comes, and why, as far as it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// The address of the client.
    pub(crate) address: Option<String>,
    /// What it calls itself.
    pub(crate) agent: Option<String>,
    /// Why it sends the request; `Err` for what is not a reason.
    reason: Option<Result<String, String>>,
}

impl Client {
    pub(crate) fn of(parts: &Parts) -> Self {
        let agent = parts.headers.get(USER_AGENT);
        Self {
            address: parts.extensions.get::<Peer>().map(|peer| peer.0.to_string()),
            agent: agent.map(|agent| shortened(&String::from_utf8_lossy(agent.as_bytes()))),
            reason: reason(&parts.headers),
        }
    }

    /// The same, with a reason from elsewhere, such as a field of a form.
    pub(crate) fn with_reason(self, reason: Option<&str>) -> Self {
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        Self {
            reason: reason.map(checked).or(self.reason),
            ..self
        }
    }

    /// Why the request was sent.
    ///
    /// # Errors
    /// The problem to respond with, if the reason is too long or cannot be read.
    pub(crate) fn reason(&self) -> Result<Option<&str>, ProblemResponse> {
        match &self.reason {
            None => Ok(None),
            Some(Ok(reason)) => Ok(Some(reason)),
            Some(Err(detail)) => Err(ProblemResponse::bad_request(
                "invalid-reason",
                "the reason cannot be read",
                detail,
            )),
        }
    }

    /// Who acts: this sender, from here.
    pub(crate) fn actor(&self, operator: &Operator) -> AuditActor {
        AuditActor {
            principal: Some(operator.principal().to_owned()),
            token: Some(operator.name().to_owned()),
            ..self.nobody()
        }
    }

    /// Somebody who is not known, from here.
    pub(crate) fn nobody(&self) -> AuditActor {
        AuditActor {
            principal: None,
            token: None,
            address: self.address.clone(),
            agent: self.agent.clone(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// The reason in a header. An empty one is none.
fn reason(headers: &HeaderMap) -> Option<Result<String, String>> {
    let value = headers.get(REASON)?;
    match binding::header_text(value.as_bytes()) {
        Some(text) if text.trim().is_empty() => None,
        Some(text) => Some(checked(text.trim())),
        None => Some(Err(format!("the header {REASON} is not percent-encoded UTF-8"))),
    }
}

fn checked(reason: &str) -> Result<String, String> {
    let characters = reason.chars().count();
    if characters > MAX_NOTE {
        return Err(format!("it has {characters} characters; the most is {MAX_NOTE}"));
    }
    Ok(reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect())
}

/// What a client calls itself, in one bounded line.
fn shortened(agent: &str) -> String {
    let shown = agent.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(LONGEST_AGENT).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn client(headers: &[(&str, &str)]) -> Client {
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| {
            request.header(*name, *value)
        });
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Client::of(&parts)
    }

    #[test]
    fn a_reason_is_decoded_and_bounded() {
        for (sent, expected) in [
            ("storm in the core", Some(Some("storm in the core"))),
            ("gr%C3%BCn%0A", Some(Some("grün"))),
            ("", Some(None)),
            ("%20", Some(None)),
            ("%ff", None),
        ] {
            let client = client(&[("lockstep-reason", sent)]);
            let found = client.reason().ok();
            assert_eq!(found, expected, "{sent}");
        }
        assert!(
            client(&[("lockstep-reason", &"x".repeat(1001))])
                .reason()
                .is_err()
        );
        assert_eq!(client(&[]).reason().unwrap(), None);
    }

    #[test]
    fn a_reason_of_a_form_counts_before_that_of_the_header() {
        let in_header = || client(&[("lockstep-reason", "header")]);
        for (form, expected) in [(Some("form"), "form"), (Some(" "), "header"), (None, "header")] {
            assert_eq!(
                in_header().with_reason(form).reason().unwrap(),
                Some(expected),
                "{form:?}"
            );
        }
    }

    #[test]
    fn what_a_client_calls_itself_is_one_bounded_line() {
        let long = "x".repeat(1000);
        let client = client(&[("user-agent", &long)]);
        assert_eq!(client.agent.unwrap().len(), LONGEST_AGENT);
    }
}
