//! Webhooks that are not authenticated or invalid.

use lockstep_protocol::Code;

use super::*;

#[test]
fn only_requests_with_a_valid_signature_or_token_are_authenticated() {
    for forge in Forge::ALL {
        let body = payload(forge).to_string().into_bytes();
        let good = signed(forge, SECRET, &body);
        let (proof, length) = match forge {
            Forge::Github => ("x-hub-signature-256", 7 + 64),
            Forge::Gitlab => ("x-gitlab-token", SECRET.len()),
            Forge::Gitea => ("x-gitea-signature", 64),
            Forge::Forgejo => ("x-forgejo-signature", 64),
            Forge::Bitbucket => ("x-hub-signature", 7 + 64),
        };
        let value = good.iter().find(|(name, _)| *name == proof).unwrap().1.clone();
        assert_eq!(value.len(), length);
        assert!(decide_as(forge, &[SECRET], &good, &body).is_ok(), "{forge}");
        assert!(
            decide_as(forge, &["new", SECRET], &good, &body).is_ok(),
            "{forge}: rotation"
        );
        assert!(
            decide_as(forge, &[SECRET, "old"], &good, &body).is_ok(),
            "{forge}: rotation"
        );

        let forged = with(good.clone(), proof, &value.replace(['0', '3'], "1"));
        let sha1 = format!("sha1={}", "0".repeat(40));
        let table = [
            ("forged", forged),
            ("missing", without(good.clone(), proof)),
            ("empty", with(good.clone(), proof, "")),
            ("cut short", with(good.clone(), proof, &value[..length - 1])),
            ("longer", with(good.clone(), proof, &format!("{value}0"))),
            ("another algorithm", with(good.clone(), proof, &sha1)),
            ("another secret", signed(forge, "other", &body)),
        ];
        for (what, pairs) in &table {
            let decision = decide_as(forge, &[SECRET], pairs, &body);
            assert!(
                matches!(decision, Err(WebhookRejection::Unauthenticated { .. })),
                "{forge} {what}: {decision:?}"
            );
        }
        let unconfigured = decide_as(forge, &[], &good, &body);
        assert!(
            matches!(unconfigured, Err(WebhookRejection::Unauthenticated { .. })),
            "{forge}: {unconfigured:?}"
        );
        if forge != Forge::Gitlab {
            let changed = decide_as(forge, &[SECRET], &good, &[&body[..], b" "].concat());
            assert!(
                matches!(changed, Err(WebhookRejection::Unauthenticated { .. })),
                "{forge}: {changed:?}"
            );
        }
        let mut twice = headers(&good);
        twice.append(proof, HeaderValue::from_static("x"));
        let twice = decide(forge, &repository(&[SECRET]), &twice, &body, now());
        assert!(
            matches!(twice, Err(WebhookRejection::Header { .. })),
            "{forge}: {twice:?}"
        );
    }
}

#[test]
fn a_signature_of_gitlab_is_valid_for_five_minutes() {
    let body = payload(Forge::Gitlab).to_string().into_bytes();
    let event = vec![("x-gitlab-event", "Push Hook".to_owned())];
    let at = |at: i64| [event.clone(), standard(DELIVERY, at, &body)].concat();
    let decide_gitlab = |pairs: &Pairs| decide_as(Forge::Gitlab, &[SIGNING_KEY, SECRET], pairs, &body);
    for good in [
        at(NOW),
        at(NOW - 300),
        at(NOW + 300),
        with(at(NOW), "x-gitlab-token", SECRET),
    ] {
        assert!(
            matches!(decide_gitlab(&good), Ok(WebhookDecision::Publish(_))),
            "{good:?}"
        );
    }
    let bad = [
        at(NOW - 301),
        at(NOW + 301),
        with(at(NOW - 301), "webhook-timestamp", &NOW.to_string()),
        with(at(NOW), "webhook-timestamp", "noon"),
        with(at(NOW), "webhook-id", "another"),
        without(at(NOW), "webhook-id"),
        without(at(NOW), "webhook-timestamp"),
        without(at(NOW), "webhook-signature"),
        // A token in addition to a signature must be valid, too, and does not replace an invalid signature.
        with(at(NOW), "x-gitlab-token", "wrong"),
        with(
            with(at(NOW), "x-gitlab-token", SECRET),
            "webhook-signature",
            "v1,AAAA",
        ),
        // The signing key is not a token.
        with(event.clone(), "x-gitlab-token", SIGNING_KEY),
    ];
    for pairs in bad {
        let decision = decide_gitlab(&pairs);
        assert!(
            matches!(decision, Err(WebhookRejection::Unauthenticated { .. })),
            "{pairs:?}: {decision:?}"
        );
    }
    let other_key = decide_as(Forge::Gitlab, &[SECRET], &at(NOW), &body);
    assert!(
        matches!(other_key, Err(WebhookRejection::Unauthenticated { .. })),
        "{other_key:?}"
    );
}

#[test]
fn a_push_of_too_many_branches_is_refused_as_a_whole() {
    let change = payload(Forge::Bitbucket)["push"]["changes"][0].clone();
    let with = |count| {
        changed(Forge::Bitbucket, |payload| {
            payload["push"]["changes"] = vec![change.clone(); count].into();
        })
    };
    assert_eq!(published(Forge::Bitbucket, &with(256)).len(), 256);
    let body = with(257).to_string().into_bytes();
    let pairs = signed(Forge::Bitbucket, SECRET, &body);
    match decide_as(Forge::Bitbucket, &[SECRET], &pairs, &body) {
        Err(WebhookRejection::Payload { place, reason, .. }) => {
            assert_eq!(place, "$.push.changes");
            assert!(reason.contains("at most 256 changes"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_invalid_payload_is_refused_with_the_place() {
    let broken = |forge, key: &str, value: Value| {
        let mut payload = payload(forge);
        *payload.pointer_mut(key).unwrap() = value;
        payload.to_string().into_bytes()
    };
    let cut = payload(Forge::Github).to_string().into_bytes();
    let deep = format!("{{\"ref\": {}1", "[".repeat(100_000)).into_bytes();
    let text = payload(Forge::Github).to_string().into_bytes();
    let latin1 = text
        .iter()
        .map(|byte| if *byte == b'M' { 0xe9 } else { *byte })
        .collect();
    let (json, data) = (Code::InvalidJson, Code::InvalidData);
    let table: Vec<(Forge, Vec<u8>, Code, &str)> = vec![
        (Forge::Github, Vec::new(), json, "$"),
        (Forge::Github, b"[]".to_vec(), json, "$"),
        (Forge::Github, b"payload=%7B%7D".to_vec(), json, "$"),
        (Forge::Github, cut[..cut.len() / 2].to_vec(), json, "$."),
        (Forge::Github, [&cut[..], b"{}"].concat(), json, "$"),
        (Forge::Github, deep, data, "$.ref"),
        (Forge::Github, latin1, json, "$"),
        (Forge::Github, b"{}".to_vec(), data, "$"),
        (
            Forge::Github,
            broken(Forge::Github, "/after", "main".into()),
            data,
            "$.after",
        ),
        (
            Forge::Github,
            broken(Forge::Github, "/commits/1/removed", json!([7])),
            data,
            "$.commits[1].removed[0]",
        ),
        (
            Forge::Gitlab,
            broken(Forge::Gitlab, "/before", Value::Null),
            data,
            "$.before",
        ),
        (
            Forge::Gitea,
            broken(Forge::Gitea, "/ref", json!({})),
            data,
            "$.ref",
        ),
        (
            Forge::Forgejo,
            broken(Forge::Forgejo, "/commits", json!("none")),
            data,
            "$.commits",
        ),
        (
            Forge::Bitbucket,
            broken(Forge::Bitbucket, "/push/changes/0/new/target/hash", json!("abc")),
            data,
            "$.push.changes[0].new.target.hash",
        ),
        (
            Forge::Bitbucket,
            broken(
                Forge::Bitbucket,
                "/push/changes/0",
                json!({"old": null, "new": null}),
            ),
            data,
            "$.push.changes[0]",
        ),
    ];
    for (forge, body, code, place) in table {
        let decision = decide_as(forge, &[SECRET], &signed(forge, SECRET, &body), &body);
        match decision {
            Err(WebhookRejection::Payload {
                code: found,
                place: at,
                reason,
            }) => {
                assert_eq!(found, code, "{forge} {at} {reason}");
                assert!(
                    at == place || (place.ends_with('.') && at.starts_with(place)),
                    "{forge} {at} {reason}"
                );
                assert!(reason.chars().count() <= 500);
            }
            other => panic!("{forge} {place}: {other:?}"),
        }
    }
    // Deep nesting in ignored fields is accepted.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = text.strip_suffix(b"}").unwrap();
    let body = [body, b",\"x\":", deep.as_bytes(), b"}"].concat();
    assert!(
        decide_as(
            Forge::Github,
            &[SECRET],
            &signed(Forge::Github, SECRET, &body),
            &body
        )
        .is_ok()
    );
}

#[test]
fn a_webhook_without_event_or_delivery_is_refused() {
    let names = |forge| match forge {
        Forge::Github => ["x-github-event", "x-github-delivery"],
        Forge::Gitlab => ["x-gitlab-event", "idempotency-key"],
        Forge::Gitea => ["x-gitea-event", "x-gitea-delivery"],
        Forge::Forgejo => ["x-forgejo-event", "x-forgejo-delivery"],
        Forge::Bitbucket => ["x-event-key", "x-request-uuid"],
    };
    for forge in Forge::ALL {
        let body = payload(forge).to_string().into_bytes();
        for name in names(forge) {
            let pairs = without(signed(forge, SECRET, &body), name);
            let decision = decide_as(forge, &[SECRET], &pairs, &body);
            assert!(
                matches!(decision, Err(WebhookRejection::Header { .. })),
                "{forge} {name}: {decision:?}"
            );
        }
        let long = with(signed(forge, SECRET, &body), names(forge)[1], &"x".repeat(256));
        let decision = decide_as(forge, &[SECRET], &long, &body);
        assert!(
            matches!(decision, Err(WebhookRejection::Header { .. })),
            "{forge}: {decision:?}"
        );
    }
}

#[test]
fn other_content_types_than_json_are_refused() {
    let check = |content_type: Option<&'static str>| {
        let pair = content_type.map(|text| (CONTENT_TYPE, HeaderValue::from_static(text)));
        check_headers(Forge::Github, &pair.into_iter().collect())
    };
    for good in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(check(Some(good)), Ok(()), "{good}");
    }
    for bad in [
        None,
        Some(""),
        Some("application/x-www-form-urlencoded"),
        Some("text/plain"),
    ] {
        let Err(WebhookRejection::MediaType(said)) = check(bad) else {
            panic!("{bad:?}")
        };
        assert!(
            said.contains("content type of the webhook to application/json"),
            "{said}"
        );
    }
}
