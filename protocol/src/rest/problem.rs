use serde::{Deserialize, Serialize};

/// An error response (RFC 9457), sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// `urn:lockstep:problem:` and a stable code: what programs match on.
    #[serde(rename = "type")]
    pub kind: String,
    /// A summary of the kind for people.
    pub title: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What happened in this request, and what to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The place in the body of the request, as a JSON path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl Problem {
    /// A problem without detail and place.
    pub fn new(status: u16, code: &str, title: &str) -> Self {
        Self {
            kind: format!("urn:lockstep:problem:{code}"),
            title: title.to_owned(),
            status,
            detail: None,
            place: None,
        }
    }

    /// The code alone.
    pub fn code(&self) -> &str {
        self.kind
            .strip_prefix("urn:lockstep:problem:")
            .unwrap_or(&self.kind)
    }

    /// Sets the detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets the place in the body.
    #[must_use]
    pub fn with_place(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }
}
