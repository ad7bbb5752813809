//! Webhooks of NetBox and Nautobot with good and bad signatures, ages and bodies.

use std::time::Duration;

use axum::http::HeaderValue;
use hmac::{Hmac, KeyInit, Mac};
use lockstep_dcim::MappingRules;
use lockstep_protocol::{DeviceType, Kind};
use sha2::{Sha256, Sha512};

use super::*;

const SECRET: &str = "the secret of main";
const DEVICE: &[u8] =
    include_bytes!("../../../../protocol/dcim/tests/payloads/netbox-4.6-device-created.json");
const NAUTOBOT: &[u8] =
    include_bytes!("../../../../protocol/dcim/tests/payloads/nautobot-2-interface-updated.json");

fn source(system: System, secrets: &[&str]) -> InventorySource {
    InventorySource {
        system,
        secrets: secrets.iter().map(|secret| (*secret).into()).collect(),
        rules: MappingRules {
            default_type: Some(DeviceType::ACCESS),
            ..MappingRules::of_source("main")
        },
        max_age: Duration::from_mins(5),
    }
}

/// A minute after the webhooks were sent.
fn now() -> Timestamp {
    "2026-10-05T09:31:15Z".parse().unwrap()
}

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn headers(signature: &str) -> HeaderMap {
    [(
        "x-hook-signature".parse().unwrap(),
        HeaderValue::from_str(signature).unwrap(),
    )]
    .into_iter()
    .collect()
}

fn decided(system: System, body: &[u8]) -> Result<WebhookDecision, WebhookRejection> {
    decide(
        &source(system, &[SECRET]),
        &headers(&signature(SECRET, body)),
        body,
        now(),
    )
}

#[test]
fn a_signed_webhook_is_published_under_an_id_of_its_change() {
    for (system, body, kind) in [
        (System::NetBox, DEVICE, Kind::InventoryImported),
        (System::Nautobot, NAUTOBOT, Kind::InterfaceUpdated),
    ] {
        let WebhookDecision::Publish(messages) = decided(system, body).unwrap() else {
            panic!("{system}: ignored");
        };
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].message.kind(), kind);
        assert_eq!(
            messages[0].identity.source.as_str(),
            format!("/webhooks/{system}/main")
        );
        assert_eq!(messages[0].actor, Some(format!("webhook:{system}")));
        assert_eq!(messages[0].subject.as_deref(), Some("sw1"));
        // Sent again a second later, as by a second event rule.
        let again = String::from_utf8(body.to_vec())
            .unwrap()
            .replace("09:30:15.712345", "09:30:16.712345");
        let WebhookDecision::Publish(again) = decided(system, again.as_bytes()).unwrap() else {
            panic!("{system}: ignored");
        };
        assert_eq!(again[0].identity, messages[0].identity);
        assert_eq!(again[0].digest(), messages[0].digest());
    }
}

#[test]
fn webhooks_that_are_not_signed_with_the_secret_of_the_source_are_refused() {
    let sha256 = {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(DEVICE);
        hex::encode(mac.finalize().into_bytes())
    };
    let good = signature(SECRET, DEVICE);
    let both = source(System::NetBox, &["the new secret", SECRET]);
    assert!(
        decide(&both, &headers(&good), DEVICE, now()).is_ok(),
        "during a rotation both count"
    );
    let configured = source(System::NetBox, &[SECRET]);
    let refused =
        |headers: &HeaderMap, body: &[u8]| decide(&configured, headers, body, now()).unwrap_err().reason();
    let mut changed = DEVICE.to_vec();
    changed[20] ^= 1;
    let mut twice = headers(&good);
    twice.append("x-hook-signature", HeaderValue::from_static("00"));
    for (what, headers, body) in [
        ("none", HeaderMap::new(), DEVICE),
        ("empty", headers(""), DEVICE),
        (
            "of another secret",
            headers(&signature("the secret of lab", DEVICE)),
            DEVICE,
        ),
        ("by SHA-256", headers(&sha256), DEVICE),
        ("with a prefix", headers(&format!("sha512={good}")), DEVICE),
        ("half", headers(&good[..64]), DEVICE),
        ("of another body", headers(&good), &changed),
    ] {
        assert_eq!(refused(&headers, body), "unauthenticated", "{what}");
    }
    assert_eq!(refused(&twice, DEVICE), "invalid", "two signatures");
    let open = source(System::NetBox, &[""]);
    let error = decide(&open, &headers(&signature("", DEVICE)), DEVICE, now()).unwrap_err();
    assert_eq!(
        error.reason(),
        "unauthenticated",
        "without a secret nothing is accepted"
    );
}

#[test]
fn a_webhook_is_accepted_up_to_its_age() {
    let configured = source(System::NetBox, &[SECRET]);
    let at = |time: &str| {
        decide(
            &configured,
            &headers(&signature(SECRET, DEVICE)),
            DEVICE,
            time.parse().unwrap(),
        )
        .unwrap()
    };
    let ignored = |time: &str| match at(time) {
        WebhookDecision::Ignore(why) => why,
        WebhookDecision::Publish(_) => panic!("published at {time}"),
    };
    assert!(matches!(at("2026-10-05T09:35:15Z"), WebhookDecision::Publish(_)));
    assert!(
        matches!(at("2026-10-05T09:26:15Z"), WebhookDecision::Publish(_)),
        "clocks differ a little"
    );
    assert!(ignored("2026-10-05T09:35:16Z").contains("webhook_max_age"));
    assert!(ignored("2026-10-06T09:30:15Z").contains("poll"));
    assert!(ignored("2026-10-05T09:25:15Z").contains("clocks"));
}

#[test]
fn broken_bodies_are_refused_with_the_place() {
    for cut in [0, 1, 100, DEVICE.len() - 3] {
        let error = decided(System::NetBox, &DEVICE[..cut]).unwrap_err();
        assert!(
            error.to_string().contains("invalid-json"),
            "cut at {cut}: {error}"
        );
    }
    let error = decided(System::NetBox, br#"{"event": "created", "timestamp": "soon"}"#).unwrap_err();
    assert!(error.to_string().contains("$.timestamp"), "{error}");
    let error = decided(
        System::NetBox,
        &[b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
    )
    .unwrap_err();
    assert_eq!(error.reason(), "invalid");
}

#[test]
fn what_means_nothing_is_ignored_with_the_reason() {
    let mut configured = source(System::NetBox, &[SECRET]);
    configured.rules.default_type = None;
    let decision = decide(&configured, &headers(&signature(SECRET, DEVICE)), DEVICE, now()).unwrap();
    let WebhookDecision::Ignore(why) = decision else {
        panic!("published");
    };
    assert!(why.contains("sources.main.device_types"), "{why}");
}
