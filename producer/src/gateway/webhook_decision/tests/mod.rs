//! Tables of webhooks in the formats of the forges, with the expected decisions.

mod accepted;
mod rejected;
mod unread;

use axum::http::{HeaderName, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;

const BEFORE: &str = "4f2c9d1e8b7a6f5c3d2e1f0a9b8c7d6e5f4a3b2c";
const AFTER: &str = "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3";
const ZEROS: &str = "0000000000000000000000000000000000000000";
const SECRET: &str = "s3cret";
const SIGNING_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DELIVERY: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";
const NOW: i64 = 1_772_366_400;

type Pairs = Vec<(&'static str, String)>;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn repository(secrets: &[&str]) -> Repository {
    Repository {
        name: "settings".to_owned().try_into().unwrap(),
        secrets: secrets.iter().map(|secret| (*secret).into()).collect(),
    }
}

fn payload(forge: Forge) -> Value {
    let text = match forge {
        Forge::Github => include_str!("../../../../tests/payloads/github-push.json"),
        Forge::Gitlab => include_str!("../../../../tests/payloads/gitlab-push.json"),
        Forge::Gitea => include_str!("../../../../tests/payloads/gitea-push.json"),
        Forge::Forgejo => include_str!("../../../../tests/payloads/forgejo-push.json"),
        Forge::Bitbucket => include_str!("../../../../tests/payloads/bitbucket-push.json"),
    };
    serde_json::from_str(text).unwrap()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex_of(secret: &str, body: &[u8]) -> String {
    hex::encode(hmac(secret.as_bytes(), body))
}

fn standard(id: &str, at: i64, body: &[u8]) -> Pairs {
    let key = BASE64_STANDARD.decode(&SIGNING_KEY[6..]).unwrap();
    let message = [format!("{id}.{at}.").as_bytes(), body].concat();
    let signature = BASE64_STANDARD.encode(hmac(&key, &message));
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
    ]
}

/// The headers that a forge sends with a push, signed with this secret.
fn signed(forge: Forge, secret: &str, body: &[u8]) -> Pairs {
    let look_alikes = || {
        vec![
            ("x-github-event", "push".to_owned()),
            ("x-github-delivery", DELIVERY.to_owned()),
            ("x-hub-signature", format!("sha1={}", "0".repeat(40))),
            ("x-hub-signature-256", format!("sha256={}", hex_of(secret, body))),
        ]
    };
    let gitea = || {
        vec![
            ("x-gitea-event", "push".to_owned()),
            ("x-gitea-delivery", DELIVERY.to_owned()),
            ("x-gitea-signature", hex_of(secret, body)),
            ("x-gogs-event", "push".to_owned()),
        ]
    };
    match forge {
        Forge::Github => look_alikes(),
        Forge::Gitea => [gitea(), look_alikes()].concat(),
        Forge::Forgejo => {
            let own = vec![
                ("x-forgejo-event", "push".to_owned()),
                ("x-forgejo-delivery", DELIVERY.to_owned()),
                ("x-forgejo-signature", hex_of(secret, body)),
            ];
            [own, gitea(), look_alikes()].concat()
        }
        Forge::Gitlab => vec![
            ("x-gitlab-event", "Push Hook".to_owned()),
            ("idempotency-key", DELIVERY.to_owned()),
            ("x-gitlab-token", secret.to_owned()),
        ],
        Forge::Bitbucket => vec![
            ("x-event-key", "repo:push".to_owned()),
            ("x-hook-uuid", "11b2a5d6".to_owned()),
            ("x-request-uuid", DELIVERY.to_owned()),
            ("x-hub-signature", format!("sha256={}", hex_of(secret, body))),
        ],
    }
}

fn headers(pairs: &Pairs) -> HeaderMap {
    let pair = |(name, value): &(&'static str, String)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    pairs.iter().map(pair).collect()
}

fn with(mut pairs: Pairs, name: &'static str, value: &str) -> Pairs {
    pairs.retain(|(other, _)| *other != name);
    pairs.push((name, value.to_owned()));
    pairs
}

fn without(mut pairs: Pairs, name: &str) -> Pairs {
    pairs.retain(|(other, _)| *other != name);
    pairs
}

fn decide_as(
    forge: Forge,
    secrets: &[&str],
    pairs: &Pairs,
    body: &[u8],
) -> Result<WebhookDecision, WebhookRejection> {
    decide(forge, &repository(secrets), &headers(pairs), body, now())
}

/// The `data` of each message for a correctly signed push with this payload.
fn published(forge: Forge, payload: &Value) -> Vec<Value> {
    let body = payload.to_string().into_bytes();
    let pairs = signed(forge, SECRET, &body);
    match decide_as(forge, &[SECRET], &pairs, &body) {
        Ok(WebhookDecision::Publish(messages)) => messages.iter().map(|one| one.message.to_data()).collect(),
        other => panic!("{forge}: {other:?}"),
    }
}

fn change(branch: &str, before: &str, after: &str) -> Value {
    json!({"repository": "settings", "branch": branch, "before": before, "after": after, "forced": false})
}

fn changed(forge: Forge, change: impl FnOnce(&mut Value)) -> Value {
    let mut payload = payload(forge);
    change(&mut payload);
    payload
}
