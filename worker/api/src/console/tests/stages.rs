//! Executions of several stages: where they are, and the results of entities.

use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::rest::{EntityResultPage, ExecutionView};
use lockstep_protocol::{ElementState, ExecutionState, Level, Stage};
use serde_json::{Value, json};

use super::executions::{element, execution, planned};
use super::{Scene, scene};
use lockstep_store::{CapScope, EntityResult, PhaseTask, StageRow};

/// Execution 4 checks devices, and then runs on interfaces, with a result for the fleet; execution 5 is one that runs on devices only.
fn filled() -> Scene {
    let scene = scene();
    let mut cycle = execution(4, "ports", ExecutionState::Running);
    cycle.request.run_on = ExecuteOn::Interface;
    cycle.request.pre_tasks = vec![PhaseTask {
        task: "reachable".to_owned(),
        provider: "ping".to_owned(),
        arguments: json!({}),
        run_arguments: Value::Null,
        run_on: ExecuteOn::Device,
    }];
    cycle.request.plan = vec![
        planned(0, Stage::Devices),
        planned(1, Stage::Devices),
        planned(1, Stage::RunGlobal),
    ];
    cycle.stage = StageRow {
        index: 1,
        elements: 5,
        ended: 2,
    };
    *scene.store.executions.lock().unwrap() = vec![cycle, execution(5, "uptime", ExecutionState::Running)];
    let mut waiting = element(41, 4, ElementState::Pending);
    waiting.row.stage = 2;
    waiting.row.waits_for = Some(CapScope::Stage(4, 2));
    *scene.store.elements.lock().unwrap() = vec![
        waiting,
        element(51, 5, ElementState::Successful),
        element(52, 5, ElementState::Running),
        element(53, 5, ElementState::Failed),
    ];
    let result = |phase, level, entity: u64, parent| EntityResult {
        phase,
        level,
        entity,
        name: format!("entity{entity}"),
        parent,
        state: ElementState::Failed,
        reason: Some("refused".to_owned()),
        message: Some("no".to_owned()),
        changed: true,
        pre_run: json!({"before": 1}),
        data: json!({"said": "a\u{1b}b"}),
    };
    *scene.store.results.lock().unwrap() = vec![
        (4, result(0, Level::Device, 1, None)),
        (4, result(1, Level::Interface, 11, Some(1))),
        (4, result(1, Level::Interface, 12, Some(1))),
        (4, result(1, Level::Interface, 21, Some(2))),
    ];
    *scene.store.names.lock().unwrap() = [((ExecuteOn::Device, "sw1".to_owned()), 1)].into();
    scene
}

#[tokio::test]
async fn an_execution_says_in_which_stage_of_which_task_it_is() {
    let scene = filled();
    let view: ExecutionView = serde_json::from_value(scene.get("/v1/executions/4").await.body).unwrap();
    assert_eq!(view.pre_tasks, ["reachable"]);
    assert!(view.post_tasks.is_empty());
    let stages: Vec<(u16, u8, &str, Stage)> = view
        .stages
        .iter()
        .map(|stage| (stage.index, stage.phase, stage.task.as_str(), stage.stage))
        .collect();
    let expected = [
        (0, 0, "reachable", Stage::Devices),
        (1, 1, "ports", Stage::Devices),
        (2, 1, "ports", Stage::RunGlobal),
    ];
    assert_eq!(stages, expected);
    assert_eq!(view.stage.as_ref(), view.stages.get(1));
    assert_eq!((view.stage_elements, view.stage_ended), (5, 2));
    let waits = json!({"index": 2, "phase": 1, "task": "ports", "stage": "run-global"});
    let listed = scene.get("/v1/executions/4/elements").await.body;
    let shown = scene.get("/v1/elements/41").await.body;
    for element in [&listed["elements"][0], &shown] {
        assert_eq!(
            (&element["stage"], &element["waits_for"]),
            (&waits, &json!("stage/4/2"))
        );
    }
}

#[tokio::test]
async fn results_are_those_of_a_phase_and_a_level_below_an_entity() {
    let scene = filled();
    let page = async |query: &str| -> (Vec<u64>, Option<u64>) {
        let answer = scene.get(&format!("/v1/executions/4/results?{query}")).await;
        assert_eq!(answer.status, 200, "{query} {}", answer.body);
        let page: EntityResultPage = serde_json::from_value(answer.body).unwrap();
        let entities = page.results.iter().map(|result| result.entity);
        (entities.collect(), page.next)
    };
    for (query, expected) in [
        ("", (vec![11, 12, 21], None)),
        ("limit=2", (vec![11, 12], Some(12))),
        ("limit=2&after=12", (vec![21], None)),
        ("of=sw1", (vec![11, 12], None)),
        ("of=2", (vec![21], None)),
        ("phase=0&level=DEVICE", (vec![1], None)),
        ("level=DEVICE", (vec![], None)),
    ] {
        assert_eq!(page(query).await, expected, "{query}");
    }
    let first = scene.get("/v1/executions/4/results?limit=1").await.body;
    let expected = json!({
        "phase": 1, "task": "ports", "level": "INTERFACE", "entity": 11, "name": "entity11", "parent": 1, "of": "sw1", "state": "FAILED",
        "outcome": "failed", "reason": "refused", "message": "no", "changed": true, "pre_run": {"before": 1},
        "data": {"said": "a\u{1b}b"},
    });
    assert_eq!(first["results"][0], expected);
}

#[tokio::test]
async fn elements_that_are_all_that_ran_are_the_results() {
    let scene = filled();
    let page: EntityResultPage =
        serde_json::from_value(scene.get("/v1/executions/5/results?limit=2").await.body).unwrap();
    let states: Vec<(&str, ElementState)> = page
        .results
        .iter()
        .map(|result| (result.name.as_str(), result.state))
        .collect();
    let expected = [
        ("sw51", ElementState::Successful),
        ("sw52", ElementState::Running),
    ];
    assert_eq!(states, expected);
    assert_eq!(page.next, Some(52));
    let first = &page.results[0];
    assert_eq!((first.phase, first.task.as_str()), (0, "uptime"));
    assert_eq!((first.level, first.entity), (Level::Device, 7));
    assert_eq!(
        (&first.data, &first.pre_run),
        (&json!({"outputs": ["a\u{1b}b"]}), &Value::Null)
    );
    let rest = scene.get("/v1/executions/5/results?limit=2&after=52").await.body;
    assert_eq!(rest["results"][0]["name"], "sw53");
    assert!(rest.get("next").is_none());
    let interfaces = scene.get("/v1/executions/5/results?level=INTERFACE").await.body;
    assert_eq!(interfaces["results"], json!([]));
}

#[tokio::test]
async fn what_results_cannot_be_selected_by_is_refused() {
    let scene = filled();
    for (path, status, expected) in [
        ("4/results?phase=2", 400, "its phases are 0 to 1"),
        ("4/results?level=SWITCH", 400, "expected one of GLOBAL"),
        ("4/results?of=sw9", 404, "no DEVICE is named \"sw9\""),
        ("4/results?level=GROUP&of=sw1", 400, "is below nothing"),
        ("5/results?of=1", 400, "leave it out"),
        ("4/results?host=sw1", 400, "phase, level, of, after, limit"),
        ("9/results", 404, "no execution"),
    ] {
        let answer = scene.get(&format!("/v1/executions/{path}")).await;
        assert_eq!(answer.status, status, "{path} {}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{path} {detail}");
    }
}
