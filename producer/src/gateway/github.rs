//! GitHub: `X-Hub-Signature-256` contains an HMAC of the body. `X-Hub-Signature`, which uses SHA-1, is ignored.

use std::borrow::Cow;

use lockstep_protocol::CommitId;
use serde::Deserialize;

use super::change::{ParsedWebhook, Push};
use super::commits::Commits;
use super::headers::Headers;
use super::payload;
use super::rejection::WebhookRejection;
use super::secrets::Secrets;

/// Where the id of the delivery is.
pub(super) const DELIVERY: &[&str] = &["x-github-delivery"];

/// The most commits in a payload. A payload with this many may be truncated.
const MAX_COMMITS: u64 = 2048;
/// The most files of a commit in a payload.
const MAX_FILES: usize = 3000;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Cow<'a, str>,
    before: CommitId,
    after: CommitId,
    #[serde(default)]
    forced: bool,
    #[serde(borrow, default)]
    commits: Commits<'a>,
}

pub(super) fn authenticate(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    let signature = headers.authentication("x-hub-signature-256")?;
    match signature.strip_prefix("sha256=") {
        Some(digits) if secrets.signed_hex(digits, body) => Ok(()),
        _ => Err(WebhookRejection::Unauthenticated {
            why: "the signature is wrong",
        }),
    }
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<ParsedWebhook, WebhookRejection> {
    match headers.required("x-github-event")? {
        "push" => {}
        "ping" => return Ok(ParsedWebhook::Ignored("a ping: the webhook works".to_owned())),
        _ => return Ok(ParsedWebhook::Ignored("the event is not a push".to_owned())),
    }
    let push: Payload<'_> = payload::read(body)?;
    let complete = push.commits.count() < MAX_COMMITS && push.commits.most_files() < MAX_FILES;
    Ok(Push {
        reference: &push.reference,
        before: push.before,
        after: push.after,
        forced: push.forced,
        commits: push.commits,
        complete,
    }
    .parsed())
}
