//! Forgejo: as Gitea, under a name of its own. It sends Gitea's headers too, so it is recognised first.

use super::change::Reading;
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
    gitea::check_signature(headers.proof("x-forgejo-signature")?, body, secrets)
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<Reading, WebhookRejection> {
    gitea::read_event(headers.need("x-forgejo-event")?, body)
}
