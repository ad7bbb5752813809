//! Executions, their elements, facts, and the stop of all.

use jiff::Timestamp;
use lockstep_http::{ReadScope, Token};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::rest::{ElementPage, ExecutionPage, ExecutionView};
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, EntityType, ExecutionState, Kind, Stage, TypePattern};
use serde_json::json;
use uuid::Uuid;

use super::{Scene, identity, scene};
use crate::fakes::device;
use lockstep_store::{
    CapScope, CheckRow, ElementCounts, ElementDetail, ElementRow, ExecutionRow, FactRow, Halt, NewExecution,
    PlannedStage, ReplyAddress, StageRow, StopRow,
};

pub(super) fn at() -> Timestamp {
    "2026-02-03T04:05:06Z".parse().unwrap()
}

pub(super) fn planned(phase: u8, stage: Stage) -> PlannedStage {
    PlannedStage { phase, stage }
}

pub(crate) fn execution(number: u64, task: &str, state: ExecutionState) -> ExecutionRow {
    let requested = json!({
        "task": task, "execute_on": [1, 2], "execute_on_type": "GROUP", "dry_run": false, "arguments": {"count": 2},
        "limits": {"canary": 1},
    });
    ExecutionRow {
        number,
        id: Uuid::from_u128(number.into()),
        request: NewExecution {
            task_number: 5,
            task: task.to_owned(),
            provider: "ping".to_owned(),
            task_arguments: json!({"count": 1}),
            run_input_json_schema: None,
            requested: serde_json::from_value(requested).unwrap(),
            run_on: ExecuteOn::Device,
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            plan: vec![planned(0, Stage::Devices)],
            lane: Lane::Devices,
            relaunch_of: Some(Uuid::from_u128(9)),
            parent: None,
            identity: identity(&number.to_string()),
            kind: Kind::TaskRequested,
            actor: Some("anna".to_owned()),
            reply: ReplyAddress::default(),
            at: at(),
            deadline_at: None,
        },
        state,
        reason: Some("cancelled by anna".to_owned()),
        started_at: Some(at()),
        ended_at: None,
        paused: true,
        halt: Some(Halt::CanaryFailed),
        in_canary: true,
        parked: 0,
        stage: StageRow::default(),
        counts: ElementCounts {
            elements: 6,
            done: 1,
            failed: 2,
            skipped: 3,
        },
    }
}

pub(super) fn element(number: u64, execution: u64, state: ElementState) -> ElementDetail {
    ElementDetail {
        row: ElementRow {
            number,
            execution,
            entity_type: EntityType::Device,
            entity: 7,
            name: format!("sw{number}"),
            hostname: Some(format!("sw{number}").parse().unwrap()),
            state,
            stage: 0,
            waits_for: (state == ElementState::Pending).then(|| CapScope::Device(format!("sw{number}"))),
            parked: None,
            reason: None,
            message: Some("reachable".to_owned()),
            changed: false,
            attempts: 1,
            started_at: Some(at()),
            ended_at: None,
        },
        data: json!({"outputs": ["a\u{1b}b"]}),
    }
}

pub(super) fn filled() -> Scene {
    let scene = scene();
    *scene.store.executions.lock().unwrap() = vec![
        execution(1, "uptime", ExecutionState::Failed),
        execution(2, "uptime", ExecutionState::Running),
        execution(3, "other", ExecutionState::Running),
    ];
    *scene.store.elements.lock().unwrap() = vec![
        element(11, 1, ElementState::Successful),
        element(12, 2, ElementState::Pending),
        element(13, 2, ElementState::Running),
        element(14, 2, ElementState::PrecheckFailed),
        element(15, 2, ElementState::Filtered),
        element(16, 2, ElementState::Successful),
    ];
    scene
}

#[tokio::test]
async fn executions_are_filtered_and_paged_newest_first() {
    let scene = filled();
    let page = async |path: &str| -> (Vec<u64>, Option<u64>, Option<u64>) {
        let answer = scene.get(path).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        let page: ExecutionPage = serde_json::from_value(answer.body).unwrap();
        let numbers = page.executions.iter().map(|execution| execution.number);
        (numbers.collect(), page.next, page.total)
    };
    for (query, expected) in [
        ("limit=2&total=true", (vec![3, 2], Some(2), Some(3))),
        ("limit=2&before=2&total=true", (vec![1], None, Some(3))),
        ("state=RUNNING", (vec![3, 2], None, None)),
        ("task=uptime", (vec![2, 1], None, None)),
        ("hostname=sw14", (vec![2], None, None)),
        ("hostname=sw99", (vec![], None, None)),
    ] {
        assert_eq!(
            page(&format!("/v1/executions?{query}")).await,
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn an_execution_is_found_by_number_and_by_id() {
    let scene = filled();
    let id = Uuid::from_u128(2);
    let by_number = scene.get("/v1/executions/2").await.body;
    let by_id = scene.get(&format!("/v1/executions/{id}")).await.body;
    assert_eq!(by_number, by_id);
    let view: ExecutionView = serde_json::from_value(by_id).unwrap();
    assert_eq!((view.id, view.elements, view.ended()), (id, 6, 6));
    assert_eq!(
        (view.done, view.failed, view.skipped, view.dry_run),
        (1, 2, 3, false)
    );
    assert_eq!(view.halt.as_deref(), Some("canary-failed"));
    assert_eq!(view.execute_on_type, ExecuteOn::Group);
    assert_eq!(view.run_on, ExecuteOn::Device);
    assert_eq!(view.limits.canary.map(std::num::NonZeroU32::get), Some(1));
    assert_eq!(
        (view.task_arguments, view.arguments),
        (json!({"count": 1}), json!({"count": 2}))
    );
    assert_eq!(view.relaunch_of, Some(Uuid::from_u128(9)));
}

#[tokio::test]
async fn elements_are_filtered_by_what_became_of_them_and_paged() {
    let scene = filled();
    let page = async |query: &str| -> (Vec<u64>, Option<u64>) {
        let answer = scene.get(&format!("/v1/executions/2/elements?{query}")).await;
        assert_eq!(answer.status, 200, "{query} {}", answer.body);
        let page: ElementPage = serde_json::from_value(answer.body).unwrap();
        (page.elements.iter().map(|row| row.number).collect(), page.next)
    };
    for (query, expected) in [
        ("limit=3", (vec![12, 13, 14], Some(14))),
        ("limit=3&after=14", (vec![15, 16], None)),
        ("outcome=open", (vec![12, 13], None)),
        ("outcome=done", (vec![16], None)),
        ("outcome=failed", (vec![14], None)),
        ("outcome=skipped", (vec![15], None)),
    ] {
        assert_eq!(page(query).await, expected, "{query}");
    }
    let answer = scene.get("/v1/executions/2/elements?limit=1").await.body;
    let waits = &answer["elements"][0];
    assert_eq!(
        (&waits["waits_for"], &waits["outcome"]),
        (&json!("device/sw12"), &json!(null))
    );
    assert!(waits.get("data").is_none(), "lists have no output of devices");
}

#[tokio::test]
async fn an_element_has_its_data_and_a_device_its_facts() {
    let scene = filled();
    let element = scene.get("/v1/elements/16").await.body;
    assert_eq!(element["data"], json!({"outputs": ["a\u{1b}b"]}));
    assert_eq!(
        (&element["execution"], &element["outcome"]),
        (&json!(2), &json!("done"))
    );

    *scene.store.devices.lock().unwrap() = vec![device(1, "sw1", true)];
    *scene.store.facts.lock().unwrap() = vec![FactRow {
        key: "ping".to_owned(),
        value: json!({"reachable": true}),
        at: at(),
        element: 16,
    }];
    let facts = scene.get("/v1/devices/sw1/facts").await.body;
    let expected =
        json!([{"key": "ping", "value": {"reachable": true}, "at": "2026-02-03T04:05:06Z", "element": 16}]);
    assert_eq!(facts["facts"], expected);
    assert_eq!(
        scene.get("/v1/devices/sw1/facts?key=pong").await.body["facts"],
        json!([])
    );

    let check = |key: &str, result: &str| CheckRow {
        key: key.to_owned(),
        result: result.to_owned(),
        reason: Some("it runs 4.30".to_owned()),
        metrics: json!({"version": "4.30"}),
        at: at(),
        element: 16,
    };
    *scene.store.checks.lock().unwrap() =
        vec![check("version", "nok"), check("up", "ok"), check("version", "ok")];
    let checks = scene.get("/v1/devices/sw1/checks?key=version&limit=1").await.body;
    let expected = json!([{
        "key": "version", "result": "nok", "reason": "it runs 4.30", "metrics": {"version": "4.30"}, "at": "2026-02-03T04:05:06Z", "element": 16,
    }]);
    assert_eq!(checks["checks"], expected);
    let all = scene.get("/v1/devices/sw1/checks").await.body;
    assert_eq!(all["checks"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn the_stop_of_all_says_since_when_and_why() {
    let scene = scene();
    let path = "/v1/executions/stopped";
    let none = json!({"stopped": false, "at": null, "by": null, "note": null});
    assert_eq!(scene.get(path).await.body, none);
    *scene.store.stop.lock().unwrap() = Some(StopRow {
        at: at(),
        by: Some("anna".to_owned()),
        note: Some("fire".to_owned()),
    });
    let stopped = json!({"stopped": true, "at": "2026-02-03T04:05:06Z", "by": "anna", "note": "fire"});
    assert_eq!(scene.get(path).await.body, stopped);
}

#[tokio::test]
async fn each_scope_reads_its_own_and_nothing_else() {
    let token = |scope: ReadScope| {
        Token::new(scope.as_str(), &scope.as_str().into(), Vec::<TypePattern>::new()).with_reads([scope])
    };
    let scene = filled().with_tokens(ReadScope::ALL.iter().copied().map(token));
    *scene.store.devices.lock().unwrap() = vec![device(1, "sw1", true)];
    for (path, needed) in [
        ("/v1/providers", ReadScope::Tasks),
        ("/v1/providers/ping", ReadScope::Tasks),
        ("/v1/tasks", ReadScope::Tasks),
        ("/v1/schedules", ReadScope::Tasks),
        ("/v1/executions", ReadScope::Executions),
        ("/v1/executions/2", ReadScope::Executions),
        ("/v1/executions/stopped", ReadScope::Executions),
        ("/v1/executions/2/elements", ReadScope::Executions),
        ("/v1/executions/2/results", ReadScope::DeviceOutput),
        ("/v1/elements/12", ReadScope::DeviceOutput),
        ("/v1/devices/sw1/facts", ReadScope::DeviceOutput),
        ("/v1/devices/sw1/checks", ReadScope::DeviceOutput),
        ("/v1/devices/sw1", ReadScope::Devices),
    ] {
        for scope in ReadScope::ALL {
            let status = scene.get_as(scope.as_str(), path).await.status;
            let expected = if *scope == needed { 200 } else { 403 };
            assert_eq!(status, expected, "{scope} {path}");
        }
    }
}
