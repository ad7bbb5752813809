//! Bitbucket Cloud: `X-Hub-Signature` contains an HMAC-SHA256 of the body (at other forges a header of this name contains
//! SHA-1). One push may change several refs; the payload lists no files.

use std::borrow::Cow;
use std::fmt;

use lockstep_protocol::{Code, CommitId};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::change::{Change, ParsedWebhook, branch_name, zero_like};
use super::headers::Headers;
use super::payload;
use super::rejection::WebhookRejection;
use super::secrets::Secrets;

/// Where the id of the delivery is.
pub(super) const DELIVERY: &[&str] = &["x-request-uuid"];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    push: PushedRefs<'a>,
}

/// The most changes of a push; each is a message.
const MAX_CHANGES: usize = 256;

#[derive(Deserialize)]
struct PushedRefs<'a> {
    #[serde(borrow, deserialize_with = "changes")]
    changes: Vec<RefChange<'a>>,
}

#[derive(Deserialize)]
struct RefChange<'a> {
    #[serde(borrow)]
    old: Option<Reference<'a>>,
    #[serde(borrow)]
    new: Option<Reference<'a>>,
    #[serde(default)]
    forced: bool,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    hash: CommitId,
}

pub(super) fn authenticate(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &Secrets,
) -> Result<(), WebhookRejection> {
    let signature = headers.authentication("x-hub-signature")?;
    match signature.strip_prefix("sha256=") {
        Some(digits) if secrets.signed_hex(digits, body) => Ok(()),
        _ => Err(WebhookRejection::Unauthenticated {
            why: "the signature is wrong",
        }),
    }
}

pub(super) fn read(headers: Headers<'_>, body: &[u8]) -> Result<ParsedWebhook, WebhookRejection> {
    match headers.required("x-event-key")? {
        "repo:push" => {}
        "diagnostics:ping" => return Ok(ParsedWebhook::Ignored("a ping: the webhook works".to_owned())),
        _ => return Ok(ParsedWebhook::Ignored("the event is not a push".to_owned())),
    }
    let payload: Payload<'_> = payload::read(body)?;
    let mut changes = Vec::new();
    let mut ignored = "the push contains no changes".to_owned();
    for (index, change) in (0_u64..).zip(payload.push.changes) {
        match of_branch(index, change)? {
            Ok(change) => changes.push(change),
            Err(why) => ignored = why,
        }
    }
    if changes.is_empty() {
        return Ok(ParsedWebhook::Ignored(ignored));
    }
    Ok(ParsedWebhook::Changes(changes))
}

/// Reads a list that is not longer than `MAX_CHANGES`. A longer one is refused before it is read: a part of it would leave out
/// branches in silence.
fn changes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RefChange<'de>>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<RefChange<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX_CHANGES} changes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<RefChange<'de>>, A::Error> {
            let mut changes = Vec::new();
            while let Some(change) = list.next_element()? {
                if changes.len() == MAX_CHANGES {
                    return Err(A::Error::invalid_length(MAX_CHANGES + 1, &self));
                }
                changes.push(change);
            }
            Ok(changes)
        }
    }
    deserializer.deserialize_seq(List)
}

/// The change of a branch, or why the change is ignored.
fn of_branch(index: u64, change: RefChange<'_>) -> Result<Result<Change, String>, WebhookRejection> {
    let RefChange { old, new, forced } = change;
    let Some(reference) = new.as_ref().or(old.as_ref()) else {
        let place = format!("$.push.changes[{index}]");
        let reason = "has neither `old` nor `new`";
        return Err(WebhookRejection::payload(Code::InvalidData, place, reason));
    };
    if reference.kind != "branch" {
        return Ok(Err("the push is of a tag; only branches matter".to_owned()));
    }
    let none = zero_like(&reference.target.hash);
    let branch = match branch_name(&reference.name) {
        Ok(branch) => branch,
        Err(why) => return Ok(Err(why)),
    };
    let commit = |reference: Option<Reference<'_>>| reference.map(|reference| reference.target.hash);
    Ok(Ok(Change {
        index,
        branch,
        before: commit(old).unwrap_or_else(|| none.clone()),
        after: commit(new).unwrap_or(none),
        forced,
        paths: None,
    }))
}
