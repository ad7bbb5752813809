//! Lists, details and counts of dead letters.

use bytes::Bytes;
use lockstep_protocol::rest::{DeadLetterDetail, DeadLetterPage};
use lockstep_protocol::topology::Lane;
use serde_json::json;

use super::{identity, scene};
use lockstep_store::{
    DeadLetter, DeadLetterGroupCount, DeadLetterQuery, DeadLetterState, DeadLetterSummary, DeadLetterTotals,
    MessageProperties,
};

pub(super) fn dead_letter(number: u64, body: &'static [u8]) -> DeadLetter {
    DeadLetter {
        head: DeadLetterSummary {
            number,
            state: DeadLetterState::Dead,
            settled_at: None,
            settled_by: None,
            identity: identity(&number.to_string()),
            redrive_count: 0,
            lane: "events".to_owned(),
            kind: "lockstep.device.removed".to_owned(),
            subject: Some("sw9".to_owned()),
            actor: Some("ztp".to_owned()),
            code: "unknown-device".to_owned(),
            reason: "no device is named sw9".to_owned(),
            place: Some("$.data.hostname".to_owned()),
            attempts: 1,
            first_at: "2026-02-03T04:05:06Z".parse().unwrap(),
            dead_lettered_at: "2026-02-03T04:05:07Z".parse().unwrap(),
            bytes: body.len() as u64,
        },
        body: Bytes::from_static(body),
        properties: MessageProperties {
            kind: Some("lockstep.device.removed".to_owned()),
            ..MessageProperties::default()
        },
    }
}

#[tokio::test]
async fn dead_letters_are_filtered_and_paged() {
    let scene = scene();
    *scene.store.dead_letters.lock().unwrap() = (1..=3).map(|number| dead_letter(number, b"{}")).collect();
    let page = async |path: &str| -> DeadLetterPage {
        let answer = scene.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_value(answer.body).unwrap()
    };
    let numbers = |page: &DeadLetterPage| -> Vec<u64> {
        let dead_letters = page.dead_letters.iter();
        dead_letters.map(|dead_letter| dead_letter.number).collect()
    };
    let first = page("/v1/dead?limit=2").await;
    assert_eq!((numbers(&first), first.next), (vec![3, 2], Some(2)));
    let last = page("/v1/dead?limit=2&before=2&total=true").await;
    assert_eq!((numbers(&last), last.next, last.total), (vec![1], None, Some(3)));
    assert_eq!(first.total, None);

    page("/v1/dead?state=processed&code=unknown-device&lane=events&type=lockstep.x").await;
    page("/v1/dead?state=all&code=of-a-newer-worker").await;
    let dead = DeadLetterQuery {
        state: Some(DeadLetterState::Dead),
        limit: 3,
        ..DeadLetterQuery::default()
    };
    let expected = [
        dead.clone(),
        DeadLetterQuery {
            before: Some(2),
            ..dead
        },
        DeadLetterQuery {
            state: Some(DeadLetterState::Processed),
            code: Some("unknown-device".to_owned()),
            lane: Some(Lane::Events),
            kind: Some("lockstep.x".to_owned()),
            before: None,
            limit: 101,
        },
        DeadLetterQuery {
            code: Some("of-a-newer-worker".to_owned()),
            limit: 101,
            ..DeadLetterQuery::default()
        },
    ];
    assert_eq!(*scene.store.queries.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_body_is_shown_as_text_or_else_in_base64() {
    let scene = scene();
    *scene.store.dead_letters.lock().unwrap() =
        vec![dead_letter(1, b"{\"a\": 1}"), dead_letter(2, b"\xff\x00")];
    let shown = async |number: u64| -> DeadLetterDetail {
        let answer = scene.get(&format!("/v1/dead/{number}")).await;
        serde_json::from_value(answer.body).unwrap()
    };
    let text = shown(1).await;
    assert_eq!(
        (text.body.as_deref(), text.body_base64),
        (Some("{\"a\": 1}"), None)
    );
    assert_eq!(text.dead_letter.by.as_deref(), Some("ztp"));
    assert_eq!(text.properties.kind.as_deref(), Some("lockstep.device.removed"));
    let bytes = shown(2).await;
    assert_eq!(
        (bytes.body, bytes.body_base64.as_deref(), bytes.dead_letter.bytes),
        (None, Some("/wA="), 2)
    );
}

#[tokio::test]
async fn counts_are_marked_as_truncated_when_groups_are_missing() {
    let scene = scene();
    let group = |code: &str, count| DeadLetterGroupCount {
        lane: "events".to_owned(),
        kind: "lockstep.x".to_owned(),
        code: code.to_owned(),
        count,
    };
    *scene.store.counts.lock().unwrap() = DeadLetterTotals {
        newest: Some(9),
        total: 5,
        groups: vec![group("crashed", 3), group("invalid-data", 2)],
    };
    let all = scene.get("/v1/dead/counts").await.body;
    let crashed = json!({"lane": "events", "type": "lockstep.x", "code": "crashed", "count": 3});
    let invalid = json!({"lane": "events", "type": "lockstep.x", "code": "invalid-data", "count": 2});
    assert_eq!(
        all,
        json!({"newest": 9, "total": 5, "groups": [crashed, invalid], "truncated": false})
    );
    let cut = scene.get("/v1/dead/counts?code=crashed").await.body;
    assert_eq!(
        cut,
        json!({"newest": 9, "total": 5, "groups": [crashed], "truncated": true})
    );
}

#[tokio::test]
async fn an_invalid_parameter_is_named() {
    let scene = scene();
    for (query, expected) in [
        (
            "state=gone",
            "parameter \"state\": \"gone\" is not a state of dead letters; expected one of dead, requeued, processed, dropped, all",
        ),
        ("lane=fast", "parameter \"lane\": \"fast\" is not a lane"),
        (
            "code=a%20b",
            "parameter \"code\": \"a b\" is not a code; a code has",
        ),
        ("type=%1b", "parameter \"type\": must be"),
        ("before=x", "parameter \"before\""),
        ("limit=0", "parameter \"limit\" is 0"),
        ("after=1", "unknown parameter \"after\"; expected one of state,"),
    ] {
        let answer = scene.get(&format!("/v1/dead?{query}")).await;
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(expected), "{query}: {detail}");
    }
}
