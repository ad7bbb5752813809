//! Gitea: `X-Gitea-Signature` contains an HMAC of the body in hexadecimal digits without a prefix. Gitea's copies of GitHub's
//! and Gogs' headers are ignored.

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
pub(super) const DELIVERY: &[&str] = &["x-gitea-delivery"];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Cow<'a, str>,
    before: CommitId,
    after: CommitId,
    #[serde(borrow, default)]
    commits: Option<Commits<'a>>,
    /// The number of commits in the push; the payload lists only the newest few.
    #[serde(default)]
    total_commits: Option<u64>,
}

pub(super) fn authenticate(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    check_signature(headers.authentication("x-gitea-signature")?, body, secrets)
}

pub(super) fn check_signature(
    signature: &str,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    if secrets.signed_hex(signature, body) {
        Ok(())
    } else {
        Err(WebhookRejection::Unauthenticated {
            why: "the signature is wrong",
        })
    }
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<ParsedWebhook, WebhookRejection> {
    read_event(headers.required("x-gitea-event")?, body)
}

/// Reads the payload of Gitea and Forgejo.
pub(super) fn read_event(event: &str, body: &[u8]) -> Result<ParsedWebhook, WebhookRejection> {
    if event != "push" {
        return Ok(ParsedWebhook::Ignored("the event is not a push".to_owned()));
    }
    let push: Payload<'_> = payload::read(body)?;
    let commits = push.commits.unwrap_or_default();
    let listed = commits.count();
    Ok(Push {
        reference: &push.reference,
        before: push.before,
        after: push.after,
        // The payloads do not contain this.
        forced: false,
        commits,
        complete: push.total_commits == Some(listed) && listed > 0,
    }
    .parsed())
}
