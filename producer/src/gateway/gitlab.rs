//! GitLab: a secret token in the clear (`X-Gitlab-Token`), or a signature as Standard Webhooks has it, made with a signing
//! token (`whsec_…`). A webhook in GitLab may have both; then both must be right, or the weaker one would decide.

use jiff::Timestamp;
use lockstep_protocol::CommitId;
use serde::Deserialize;

use super::change::{Commit, Push, Reading};
use super::headers::Headers;
use super::payload;
use super::rejection::WebhookRejection;
use super::secrets::Secrets;

/// How far the time of a signature may be from ours, in seconds: what Standard Webhooks recommends.
const TOLERANCE: u64 = 300;

const SIGNATURE: &str = "webhook-signature";
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const TOKEN: &str = "x-gitlab-token";

/// Where the id of the delivery is, the same for every attempt. What is signed counts first; the last one is for GitLab before
/// 17.4.
pub(super) const DELIVERY: &[&str] = &[ID, "idempotency-key", "x-gitlab-event-uuid"];

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    reference: String,
    before: CommitId,
    after: CommitId,
    #[serde(default)]
    commits: Vec<Commit>,
    /// The payload lists at most twenty of them.
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
    if secrets.holds(headers.proof(TOKEN)?) {
        Ok(())
    } else {
        Err(WebhookRejection::Unauthentic {
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
    let (id, timestamp) = (headers.proof(ID)?, headers.proof(TIMESTAMP)?);
    if !secrets.signed_standard(headers.proof(SIGNATURE)?, id, timestamp, body) {
        return Err(WebhookRejection::Unauthentic {
            why: "the signature is wrong",
        });
    }
    let at: Option<i64> = timestamp.parse().ok();
    match at.map(|at| at.abs_diff(now.as_second())) {
        Some(0..=TOLERANCE) => Ok(()),
        _ => Err(WebhookRejection::Unauthentic {
            why: "the signature is too old or too new; are both clocks right?",
        }),
    }
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<Reading, WebhookRejection> {
    match headers.need("x-gitlab-event")? {
        "Push Hook" => {}
        "Tag Push Hook" => {
            return Ok(Reading::Ignored(
                "a tag was pushed, only branches count".to_owned(),
            ));
        }
        _ => return Ok(Reading::Ignored("the event is no push".to_owned())),
    }
    let push: Payload = payload::read(body)?;
    let listed = u64::try_from(push.commits.len()).unwrap_or(u64::MAX);
    Ok(Push {
        reference: &push.reference,
        before: push.before,
        after: push.after,
        // GitLab does not say.
        forced: false,
        commits: &push.commits,
        complete: push.total_commits_count == Some(listed) && listed > 0,
    }
    .reading())
}
