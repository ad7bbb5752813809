//! GitHub: `X-Hub-Signature-256`, an HMAC of the body. `X-Hub-Signature` beside it is SHA-1 and counts for nothing.

use lockstep_protocol::CommitId;
use serde::Deserialize;

use super::change::{Commit, Push, Reading};
use super::headers::Headers;
use super::payload;
use super::rejection::WebhookRejection;
use super::secrets::Secrets;

/// Where the id of the delivery is.
pub(super) const DELIVERY: &[&str] = &["x-github-delivery"];

/// The most commits a payload lists, and the most files it lists of one.
const MOST_COMMITS: usize = 2048;
const MOST_FILES: usize = 3000;

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    reference: String,
    before: CommitId,
    after: CommitId,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Vec<Commit>,
}

pub(super) fn authenticate(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    let signature = headers.proof("x-hub-signature-256")?;
    match signature.strip_prefix("sha256=") {
        Some(digits) if secrets.signed_hex(digits, body) => Ok(()),
        _ => Err(WebhookRejection::Unauthentic {
            why: "the signature is wrong",
        }),
    }
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<Reading, WebhookRejection> {
    match headers.need("x-github-event")? {
        "push" => {}
        "ping" => return Ok(Reading::Ignored("a ping: the webhook works".to_owned())),
        _ => return Ok(Reading::Ignored("the event is no push".to_owned())),
    }
    let push: Payload = payload::read(body)?;
    let complete =
        push.commits.len() < MOST_COMMITS && push.commits.iter().all(|commit| commit.len() < MOST_FILES);
    Ok(Push {
        reference: &push.reference,
        before: push.before,
        after: push.after,
        forced: push.forced,
        commits: &push.commits,
        complete,
    }
    .reading())
}
