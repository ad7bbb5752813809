//! Forgejo: the format of Gitea, with headers of its own in addition to Gitea's.

use super::change::ParsedWebhook;
use super::gitea;
use super::headers::Headers;
use super::rejection::WebhookRejection;
use super::secrets::Secrets;

/// Where the id of the delivery is.
pub(super) const DELIVERY: &[&str] = &["x-forgejo-delivery"];

pub(super) fn authenticate(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    gitea::check_signature(headers.authentication("x-forgejo-signature")?, body, secrets)
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<ParsedWebhook, WebhookRejection> {
    gitea::read_event(headers.required("x-forgejo-event")?, body)
}
