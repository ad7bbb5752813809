//! GitLab: the secret token itself (`X-Gitlab-Token`), or a Standard Webhooks signature with a signing token (`whsec_…`). A
//! webhook may be configured with both in GitLab; then both must be valid.

use std::borrow::Cow;

use jiff::Timestamp;
use lockstep_protocol::CommitId;
use serde::Deserialize;

use super::change::{ParsedWebhook, Push};
use super::commits::Commits;
use super::headers::Headers;
use super::payload;
use super::rejection::WebhookRejection;
use super::secrets::Secrets;

/// The greatest accepted difference between the time of a signature and the current time, in seconds, as Standard Webhooks
/// recommends.
const TOLERANCE: u64 = 300;

const SIGNATURE: &str = "webhook-signature";
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const TOKEN: &str = "x-gitlab-token";

/// The headers with the id of the delivery, the same for every attempt, in order of preference: the signed one first, the
/// last one for GitLab before 17.4.
pub(super) const DELIVERY: &[&str] = &[ID, "idempotency-key", "x-gitlab-event-uuid"];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Cow<'a, str>,
    before: CommitId,
    after: CommitId,
    #[serde(borrow, default)]
    commits: Commits<'a>,
    /// The number of commits in the push; the payload lists at most twenty.
    #[serde(default)]
    total_commits_count: Option<u64>,
}

pub(super) fn authenticate(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
    now: Timestamp,
) -> Result<(), WebhookRejection> {
    let signed = headers.has_any("webhook-");
    if signed {
        check_signature(headers, body, secrets, now)?;
        if !headers.has(TOKEN) {
            return Ok(());
        }
    }
    if secrets.holds(headers.authentication(TOKEN)?) {
        Ok(())
    } else {
        Err(WebhookRejection::Unauthenticated {
            why: "the token is wrong",
        })
    }
}

fn check_signature(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
    now: Timestamp,
) -> Result<(), WebhookRejection> {
    let (id, timestamp) = (headers.authentication(ID)?, headers.authentication(TIMESTAMP)?);
    if !secrets.signed_standard(headers.authentication(SIGNATURE)?, id, timestamp, body) {
        return Err(WebhookRejection::Unauthenticated {
            why: "the signature is wrong",
        });
    }
    let at: Option<i64> = timestamp.parse().ok();
    match at.map(|at| at.abs_diff(now.as_second())) {
        Some(0..=TOLERANCE) => Ok(()),
        _ => Err(WebhookRejection::Unauthenticated {
            why: "the signature is too old or too new; check the clocks of GitLab and this host",
        }),
    }
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<ParsedWebhook, WebhookRejection> {
    match headers.required("x-gitlab-event")? {
        "Push Hook" => {}
        "Tag Push Hook" => {
            return Ok(ParsedWebhook::Ignored(
                "the push is of a tag; only branches matter".to_owned(),
            ));
        }
        _ => return Ok(ParsedWebhook::Ignored("the event is not a push".to_owned())),
    }
    let push: Payload<'_> = payload::read(body)?;
    let listed = push.commits.count();
    Ok(Push {
        reference: &push.reference,
        before: push.before,
        after: push.after,
        // The payload does not contain this.
        forced: false,
        commits: push.commits,
        complete: push.total_commits_count == Some(listed) && listed > 0,
    }
    .parsed())
}
