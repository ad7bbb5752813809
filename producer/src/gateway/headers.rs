use axum::http::HeaderMap;

use super::rejection::WebhookRejection;

/// The headers of a webhook. Those that decide something must be there once: proxies differ in which of two they take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a>(pub(super) &'a HeaderMap);

impl<'a> Headers<'a> {
    /// The text of a header, if it is there.
    pub(super) fn text(self, name: &'static str) -> Result<Option<&'a str>, WebhookRejection> {
        let mut values = self.0.get_all(name).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(WebhookRejection::header(name, "is there more than once"));
        }
        match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(WebhookRejection::header(
                name,
                "is no text of visible ASCII characters",
            )),
        }
    }

    /// The text of a header that says what the webhook is about.
    pub(super) fn need(self, name: &'static str) -> Result<&'a str, WebhookRejection> {
        self.text(name)?
            .ok_or(WebhookRejection::header(name, "is missing"))
    }

    /// The text of a header without which nothing is authentic.
    pub(super) fn proof(self, name: &'static str) -> Result<&'a str, WebhookRejection> {
        self.text(name)?.ok_or(WebhookRejection::Unauthentic {
            why: "there is no signature",
        })
    }

    /// Whether there is a header of this name.
    pub(super) fn has(self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether there is a header whose name begins like this.
    pub(super) fn has_any(self, prefix: &str) -> bool {
        self.0.keys().any(|name| name.as_str().starts_with(prefix))
    }
}
