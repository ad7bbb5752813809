use axum::http::{HeaderMap, HeaderName};

use super::rejection::WebhookRejection;

/// The headers of a webhook. A header that is read must not occur more than once, since proxies differ in which value they
/// use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a>(pub(super) &'a HeaderMap);

impl<'a> Headers<'a> {
    /// The value of a header, if present.
    pub(super) fn text(self, name: &'static str) -> Result<Option<&'a str>, WebhookRejection> {
        let mut values = self.0.get_all(name).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(WebhookRejection::header(name, "occurs more than once"));
        }
        match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(WebhookRejection::header(
                name,
                "contains characters other than visible ASCII",
            )),
        }
    }

    /// The value of a required header.
    pub(super) fn required(self, name: &'static str) -> Result<&'a str, WebhookRejection> {
        self.text(name)?
            .ok_or(WebhookRejection::header(name, "is missing"))
    }

    /// The value of a header that authenticates the webhook.
    pub(super) fn authentication(self, name: &'static str) -> Result<&'a str, WebhookRejection> {
        self.text(name)?.ok_or(WebhookRejection::Unauthenticated {
            why: "there is no signature",
        })
    }

    /// Whether the header is present.
    pub(super) fn has(self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether a header with this prefix is present.
    pub(super) fn has_any(self, prefix: &str) -> bool {
        self.names().any(|name| name.starts_with(prefix))
    }

    /// The names of all headers, in lower case.
    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(HeaderName::as_str)
    }
}
