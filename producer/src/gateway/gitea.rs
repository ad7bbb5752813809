//! Gitea: `X-Gitea-Signature`, an HMAC of the body in bare digits. The look-alikes of GitHub's and Gogs' headers that it
//! sends besides count for nothing.

use lockstep_protocol::CommitId;
use serde::Deserialize;

use super::change::{Commit, Push, Reading};
use super::headers::Headers;
use super::payload;
use super::rejection::WebhookRejection;
use super::secrets::Secrets;

/// Where the id of the delivery is.
pub(super) const DELIVERY: &[&str] = &["x-gitea-delivery"];

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    reference: String,
    before: CommitId,
    after: CommitId,
    #[serde(default)]
    commits: Option<Vec<Commit>>,
    /// The payload lists only the newest few of them.
    #[serde(default)]
    total_commits: Option<u64>,
}

pub(super) fn authenticate(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    check_signature(headers.proof("x-gitea-signature")?, body, secrets)
}

pub(super) fn check_signature(
    signature: &str,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    if secrets.signed_hex(signature, body) {
        Ok(())
    } else {
        Err(WebhookRejection::Unauthentic {
            why: "the signature is wrong",
        })
    }
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<Reading, WebhookRejection> {
    read_event(headers.need("x-gitea-event")?, body)
}

/// Reads the payload of an event as Gitea and Forgejo send it.
pub(super) fn read_event(event: &str, body: &[u8]) -> Result<Reading, WebhookRejection> {
    if event != "push" {
        return Ok(Reading::Ignored("the event is no push".to_owned()));
    }
    let push: Payload = payload::read(body)?;
    let commits = push.commits.unwrap_or_default();
    let listed = u64::try_from(commits.len()).unwrap_or(u64::MAX);
    Ok(Push {
        reference: &push.reference,
        before: push.before,
        after: push.after,
        // Neither says.
        forced: false,
        commits: &commits,
        complete: push.total_commits == Some(listed) && listed > 0,
    }
    .reading())
}
