//! Decisions about authenticated webhooks.

use super::*;

#[test]
fn the_pushes_of_all_forges_give_the_same_event() {
    let paths = json!(["devices/eosaccess1/interfaces.yml", "global/base_system.yml"]);
    for forge in [Forge::Gitlab, Forge::Gitea, Forge::Forgejo] {
        let mut expected = change("main", BEFORE, AFTER);
        expected["paths"] = paths.clone();
        assert_eq!(published(forge, &payload(forge)), [expected], "{forge}");
    }
    let mut expected = change("main", BEFORE, AFTER);
    expected["paths"] = json!([
        "devices/alt räck/vlans.yml",
        "devices/eosaccess1/interfaces.yml",
        "global/base_system.yml"
    ]);
    assert_eq!(published(Forge::Github, &payload(Forge::Github)), [expected]);
    // Several branches in one push; the tag among them is ignored.
    let expected = [
        change("main", BEFORE, AFTER),
        change("feature/ntp", ZEROS, AFTER),
        change("old", BEFORE, ZEROS),
    ];
    assert_eq!(published(Forge::Bitbucket, &payload(Forge::Bitbucket)), expected);
}

#[test]
fn source_and_actor_of_a_message_come_from_the_path() {
    for forge in Forge::ALL {
        let body = payload(forge).to_string().into_bytes();
        let pairs = signed(forge, SECRET, &body);
        let Ok(WebhookDecision::Publish(messages)) = decide_as(forge, &[SECRET], &pairs, &body) else {
            panic!("{forge}")
        };
        for message in messages {
            assert_eq!(
                message.identity.source.as_str(),
                format!("/webhooks/{forge}/settings")
            );
            assert_eq!(message.actor, Some(format!("webhook:{forge}")));
            assert_eq!(message.time, None);
            let decoded = Envelope::decode(&message.encode()).unwrap();
            assert_eq!(decoded.envelope, message, "what is published can be read");
        }
    }
}

#[test]
fn new_deleted_and_rewritten_branches_have_no_paths() {
    let forges = [Forge::Github, Forge::Gitlab, Forge::Gitea, Forge::Forgejo];
    for forge in forges {
        for (key, before, after) in [("before", ZEROS, AFTER), ("after", BEFORE, ZEROS)] {
            let payload = changed(forge, |payload| payload[key] = ZEROS.into());
            assert_eq!(
                published(forge, &payload),
                [change("main", before, after)],
                "{forge} {key}"
            );
        }
    }
    let mut expected = change("main", BEFORE, AFTER);
    expected["forced"] = true.into();
    let forced = changed(Forge::Github, |payload| payload["forced"] = true.into());
    assert_eq!(published(Forge::Github, &forced), [expected.clone()]);
    let forced = changed(Forge::Bitbucket, |payload| {
        payload["push"]["changes"][0]["forced"] = true.into();
    });
    assert_eq!(published(Forge::Bitbucket, &forced)[0], expected);
    let sha256 = changed(Forge::Bitbucket, |payload| {
        payload["push"]["changes"][3]["old"]["target"]["hash"] = "a".repeat(64).into();
    });
    assert_eq!(
        published(Forge::Bitbucket, &sha256)[2],
        change("old", &"a".repeat(64), &"0".repeat(64))
    );
}

#[test]
fn a_truncated_list_of_commits_gives_no_paths() {
    let plain = change("main", BEFORE, AFTER);
    let one = payload(Forge::Github)["commits"][0].clone();
    let many = |count: usize| Value::Array(vec![one.clone(); count]);
    let files: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    let table = [
        (
            Forge::Github,
            changed(Forge::Github, |payload| payload["commits"] = many(2048)),
        ),
        (
            Forge::Github,
            changed(Forge::Github, |payload| {
                payload["commits"][0]["added"] = json!(files);
            }),
        ),
        (
            Forge::Gitlab,
            changed(Forge::Gitlab, |payload| {
                payload["total_commits_count"] = 21.into();
            }),
        ),
        (
            Forge::Gitlab,
            changed(Forge::Gitlab, |payload| {
                payload["total_commits_count"] = Value::Null;
            }),
        ),
        (
            Forge::Gitea,
            changed(Forge::Gitea, |payload| payload["total_commits"] = 6.into()),
        ),
        (
            Forge::Gitea,
            changed(Forge::Gitea, |payload| payload["commits"] = Value::Null),
        ),
        (
            Forge::Forgejo,
            changed(Forge::Forgejo, |payload| payload["total_commits"] = 6.into()),
        ),
    ];
    for (forge, payload) in table {
        assert_eq!(
            published(forge, &payload),
            std::slice::from_ref(&plain),
            "{forge}"
        );
    }
    let whole = changed(Forge::Github, |payload| payload["commits"] = many(2047));
    assert!(published(Forge::Github, &whole)[0]["paths"].is_array());
}

#[test]
fn webhooks_other_than_pushes_of_branches_are_ignored_with_a_reason() {
    let tag = |forge| changed(forge, |payload| payload["ref"] = "refs/tags/v1".into());
    let only_tag = changed(Forge::Bitbucket, |payload| {
        let tag = payload["push"]["changes"][1].take();
        payload["push"]["changes"] = json!([tag]);
    });
    let none = changed(Forge::Bitbucket, |payload| payload["push"]["changes"] = json!([]));
    let ping: Value =
        serde_json::from_str(include_str!("../../../../tests/payloads/github-ping.json")).unwrap();
    let table = [
        (Forge::Github, ("x-github-event", "ping"), ping, "ping"),
        (
            Forge::Github,
            ("x-github-event", "issues"),
            json!({}),
            "not a push",
        ),
        (
            Forge::Github,
            ("x-github-event", "push"),
            tag(Forge::Github),
            "tag",
        ),
        (
            Forge::Gitlab,
            ("x-gitlab-event", "Tag Push Hook"),
            tag(Forge::Gitlab),
            "tag",
        ),
        (
            Forge::Gitlab,
            ("x-gitlab-event", "Issue Hook"),
            json!({}),
            "not a push",
        ),
        (Forge::Gitea, ("x-gitea-event", "delete"), json!({}), "not a push"),
        (Forge::Gitea, ("x-gitea-event", "push"), tag(Forge::Gitea), "tag"),
        (
            Forge::Forgejo,
            ("x-forgejo-event", "create"),
            json!({}),
            "not a push",
        ),
        (
            Forge::Bitbucket,
            ("x-event-key", "diagnostics:ping"),
            json!({}),
            "ping",
        ),
        (
            Forge::Bitbucket,
            ("x-event-key", "pullrequest:created"),
            json!({}),
            "not a push",
        ),
        (
            Forge::Bitbucket,
            ("x-event-key", "repo:push"),
            only_tag,
            "of a tag",
        ),
        (Forge::Bitbucket, ("x-event-key", "repo:push"), none, "no changes"),
    ];
    for (forge, (name, event), payload, expected) in table {
        let body = payload.to_string().into_bytes();
        let pairs = with(signed(forge, SECRET, &body), name, event);
        let verdict = decide_as(forge, &[SECRET], &pairs, &body);
        let Ok(WebhookDecision::Ignore(why)) = verdict else {
            panic!("{forge} {event}: {verdict:?}")
        };
        assert!(why.contains(expected), "{forge} {event}: {why}");
    }
}

#[test]
fn a_body_sent_again_is_the_same_message_whatever_is_not_authenticated() {
    let told = |forge: Forge, pairs: &Pairs, body: &[u8], at: Timestamp| -> Vec<(Identity, String)> {
        match decide(
            forge,
            &repository(&[SECRET, SIGNING_KEY]),
            &headers(pairs),
            body,
            at,
        ) {
            Ok(WebhookDecision::Publish(messages)) => {
                let told = |one: &Envelope| (one.identity.clone(), one.digest().to_string());
                messages.iter().map(told).collect()
            }
            other => panic!("{forge}: {other:?}"),
        }
    };
    let later = Timestamp::from_second(NOW + 86_400).unwrap();
    let mut all = std::collections::BTreeSet::new();
    let mut count = 0;
    for forge in Forge::ALL {
        let body = payload(forge).to_string().into_bytes();
        let pairs = signed(forge, SECRET, &body);
        let first = told(forge, &pairs, &body, now());
        assert_eq!(first, told(forge, &pairs, &body, later), "{forge}");
        let delivery = match forge {
            Forge::Github => "x-github-delivery",
            Forge::Gitlab => "idempotency-key",
            Forge::Gitea => "x-gitea-delivery",
            Forge::Forgejo => "x-forgejo-delivery",
            Forge::Bitbucket => "x-request-uuid",
        };
        let replayed = told(forge, &with(pairs, delivery, "another"), &body, now());
        let other = [&body[..], b"\n"].concat();
        let other = told(forge, &signed(forge, SECRET, &other), &other, now());
        let mut expected = vec![&first, &other];
        if forge == Forge::Gitlab {
            // Who sends the token may say anything, so the id of the delivery counts.
            expected.push(&replayed);
        } else {
            assert_eq!(first, replayed, "{forge}");
        }
        for (identity, _) in expected.into_iter().flatten() {
            all.insert(identity.id.clone());
            count += 1;
        }
    }
    assert_eq!(
        all.len(),
        count,
        "forge, repository, body and index each make another id"
    );
    // GitLab signs each attempt anew.
    let body = payload(Forge::Gitlab).to_string().into_bytes();
    let attempt = |at: i64| {
        let pairs = with(standard(DELIVERY, at, &body), "x-gitlab-event", "Push Hook");
        told(Forge::Gitlab, &pairs, &body, Timestamp::from_second(at).unwrap())
    };
    assert_eq!(attempt(NOW), attempt(NOW + 3600));
}

#[test]
fn an_id_never_changes_between_versions() {
    let body = include_bytes!("../../../../tests/payloads/github-push.json");
    let decision = decide_as(
        Forge::Github,
        &[SECRET],
        &signed(Forge::Github, SECRET, body),
        body,
    );
    let Ok(WebhookDecision::Publish(messages)) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(
        messages[0].identity.id.as_str(),
        "1dd3b948-24e1-582d-8ac4-8fc333b95c35"
    );
}
