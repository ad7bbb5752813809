use lockstep_http::{ReadScope, Token};
use lockstep_protocol::{ElementState, TypePattern};
use lockstep_store::{PlanApproval, SyncElement};
use serde_json::json;

use super::executions::filled;
use super::*;

pub(super) fn element(number: u64, hostname: &str) -> SyncElement {
    SyncElement {
        number,
        hostname: hostname.parse().unwrap(),
        state: ElementState::Successful,
        reason: None,
        message: Some("differs".to_owned()),
        changed: true,
        generation: 3,
        is_outdated: false,
        settings: Some("a".repeat(40).try_into().unwrap()),
        templates: None,
        masked: Some("+username bob secret <hidden>".to_owned()),
        hash: Some("beef".to_owned()),
        score: Some(2.5),
        diff: Some("+username bob secret 0 s3cret".to_owned()),
        rendered: None,
        previous: Some("hostname sw1".to_owned()),
    }
}

/// Execution 2 is a sync of two devices.
fn synced() -> Scene {
    let scene = filled();
    *scene.store.syncs.lock().unwrap() = vec![(2, element(11, "sw1")), (2, element(12, "sw2"))];
    scene
}

#[tokio::test]
async fn the_devices_of_a_sync_are_listed_page_by_page_without_secrets() {
    let scene = synced();
    let first = scene.get("/v1/executions/2/devices?limit=1").await.body;
    let expected = json!({
        "devices": [{
            "number": 11, "hostname": "sw1", "state": "SUCCESSFUL", "outcome": "done", "reason": null, "message": "differs",
            "changed": true, "generation": 3, "outdated": false, "settings_commit": "a".repeat(40), "templates_commit": null,
            "diff": "+username bob secret <hidden>", "hash": "beef", "change_score": 2.5,
        }],
        "next": 11,
    });
    assert_eq!(first, expected);
    let last = scene.get("/v1/executions/2/devices?after=11").await.body;
    assert_eq!(
        (&last["devices"][0]["hostname"], &last["next"]),
        (&json!("sw2"), &json!(null))
    );
    let one = scene.get("/v1/executions/2/devices/sw1").await.body;
    assert_eq!(one, expected["devices"][0]);
    assert!(!first.to_string().contains("s3cret") && !one.to_string().contains("s3cret"));
}

#[tokio::test]
async fn whole_configurations_need_a_right_of_their_own() {
    let token = |scope: ReadScope| {
        Token::new(scope.as_str(), &scope.as_str().into(), Vec::<TypePattern>::new()).with_reads([scope])
    };
    let scene = synced().with_tokens(ReadScope::ALL.iter().copied().map(token));
    for (path, needed) in [
        ("/v1/executions/2/devices", ReadScope::DeviceOutput),
        ("/v1/executions/2/devices/sw1", ReadScope::DeviceOutput),
        (
            "/v1/executions/2/devices/sw1/configuration",
            ReadScope::Configurations,
        ),
    ] {
        for scope in ReadScope::ALL {
            let status = scene.get_as(scope.as_str(), path).await.status;
            let expected = if *scope == needed { 200 } else { 403 };
            assert_eq!(status, expected, "{scope} {path}");
        }
    }
    let path = "/v1/executions/2/devices/sw1/configuration";
    let whole = scene.get_as("configurations", path).await.body;
    let expected = json!({
        "hostname": "sw1", "diff": "+username bob secret 0 s3cret", "rendered": null, "previous": "hostname sw1",
    });
    assert_eq!(whole, expected);
}

#[tokio::test]
async fn a_device_that_is_not_part_of_the_sync_is_unknown() {
    let scene = synced();
    for path in [
        "/v1/executions/2/devices/sw9",
        "/v1/executions/2/devices/not%20a%20name",
        "/v1/executions/1/devices/sw1",
        "/v1/executions/2/devices/sw9/configuration",
    ] {
        let answer = scene.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.body["type"], "urn:lockstep:problem:unknown-device",
            "{path}"
        );
    }
    assert_eq!(
        scene.get("/v1/executions/1/devices").await.body["devices"],
        json!([])
    );
    assert_eq!(scene.get("/v1/executions/99/devices").await.status, 404);
}

#[tokio::test]
async fn approvals_are_shown_with_their_plan() {
    let scene = synced();
    {
        let mut executions = scene.store.executions.lock().unwrap();
        let plan = executions.iter_mut().find(|row| row.number == 2).unwrap();
        plan.request.provider = "sync".to_owned();
        plan.request.requested.dry_run = true;
    }
    let approval = |by: &str, hour: &str, note: Option<&str>| PlanApproval {
        plan: 2,
        by: by.to_owned(),
        at: format!("2026-02-03T0{hour}:00:00Z").parse().unwrap(),
        expires_at: format!("2026-02-03T1{hour}:00:00Z").parse().unwrap(),
        note: note.map(str::to_owned),
    };
    *scene.store.approvals.lock().unwrap() = vec![
        approval("berta", "4", Some("both cores checked")),
        approval("carla", "5", None),
    ];
    let expected = json!([
        {"by": "berta", "at": "2026-02-03T04:00:00Z", "expires_at": "2026-02-03T14:00:00Z", "note": "both cores checked"},
        {"by": "carla", "at": "2026-02-03T05:00:00Z", "expires_at": "2026-02-03T15:00:00Z", "note": null},
    ]);
    assert_eq!(scene.get("/v1/executions/2").await.body["approvals"], expected);
    let listed = scene.get("/v1/executions").await.body["executions"].clone();
    for execution in listed.as_array().unwrap() {
        let expected = if execution["number"] == 2 {
            &expected
        } else {
            &json!([])
        };
        assert_eq!(&execution["approvals"], expected);
    }
}
