//! Tasks, schedules and providers.

use axum::body::Body;
use jiff::Timestamp;
use lockstep_protocol::rest::{SchedulePage, TaskPage, TaskValidation};
use serde_json::{Value, json};

use super::{Scene, request, scene};
use lockstep_store::{ScheduleRow, TaskRow};

fn at() -> Timestamp {
    "2026-02-03T04:05:06Z".parse().unwrap()
}

pub(super) fn task(number: u64, name: &str) -> TaskRow {
    TaskRow {
        number,
        name: name.to_owned(),
        description: None,
        provider: "ping".to_owned(),
        arguments: json!({"count": 1}),
        pre_tasks: vec!["reachable".to_owned()],
        post_tasks: vec!["report".to_owned()],
        run_input_json_schema: None,
        run_input_ui_schema: None,
        saved_at: at(),
        saved_by: Some("anna".to_owned()),
    }
}

#[tokio::test]
async fn tasks_are_paged_by_name_and_found_by_number_or_name() {
    let scene = scene();
    *scene.store.tasks.lock().unwrap() = vec![
        task(3, "7"),
        task(7, "a/b c"),
        task(5, "uptime"),
        task(6, "validate"),
    ];
    let page = async |path: &str| -> (Vec<u64>, Option<String>) {
        let answer = scene.get(path).await;
        let page: TaskPage = serde_json::from_value(answer.body).unwrap();
        (page.tasks.iter().map(|task| task.number).collect(), page.next)
    };
    let first = page("/v1/tasks?limit=2").await;
    assert_eq!(first, (vec![3, 7], Some("a/b c".to_owned())));
    let last = page("/v1/tasks?limit=2&after=a/b%20c").await;
    assert_eq!(last, (vec![5, 6], None));
    for (path, expected) in [
        ("5", 5),
        ("uptime", 5),
        // A number comes first; the task with this name has a number, too.
        ("7", 7),
        ("3", 3),
        ("a%2Fb%20c", 7),
        ("validate", 6),
    ] {
        let answer = scene.get(&format!("/v1/tasks/{path}")).await;
        assert_eq!(answer.body["number"], expected, "{path} {}", answer.body);
    }
    let shown = scene.get("/v1/tasks/uptime").await.body;
    assert_eq!(
        (&shown["arguments"], &shown["saved_by"]),
        (&json!({"count": 1}), &json!("anna"))
    );
    assert_eq!(
        (&shown["pre_tasks"], &shown["post_tasks"]),
        (&json!(["reachable"]), &json!(["report"]))
    );
}

#[tokio::test]
async fn the_form_of_a_task_is_one_answer() {
    let scene = scene();
    let mut asks = task(3, "asks");
    asks.run_input_json_schema = Some(json!({"properties": {"vlan": {"x-display": "slider"}}}));
    asks.run_input_ui_schema = Some(json!({"type": "Control", "scope": "#/properties/vlan"}));
    let mut outdated = task(4, "outdated");
    outdated.provider = "telnet".to_owned();
    *scene.store.tasks.lock().unwrap() = vec![asks.clone(), outdated];
    for path in ["/v1/tasks/asks/form", "/v1/tasks/3/form"] {
        let form = scene.get(path).await.body;
        assert_eq!(
            form,
            json!({
                "number": 3, "name": "asks", "provider": "ping", "arguments": {"count": 1},
                "json_schema": {"type": "object"}, "ui_schema": null,
                "run_input_json_schema": asks.run_input_json_schema, "run_input_ui_schema": asks.run_input_ui_schema,
            })
        );
    }
    let shown = scene.get("/v1/tasks/asks").await.body;
    assert_eq!(
        shown["run_input_json_schema"],
        asks.run_input_json_schema.unwrap()
    );
    for (path, expected) in [
        ("/v1/tasks/outdated/form", (409, "task-outdated")),
        ("/v1/tasks/gone/form", (404, "unknown-task")),
    ] {
        let answer = scene.get(path).await;
        assert_eq!(answer.problem(), expected);
    }
}

async fn validated(scene: &Scene, body: &str) -> Vec<(String, String)> {
    let request = request("POST", "/v1/tasks/validate", "all");
    let answer = scene
        .send(request.body(Body::from(body.to_owned())).unwrap())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let validation: TaskValidation = serde_json::from_value(answer.body).unwrap();
    assert_eq!(validation.valid, validation.problems.is_empty());
    let problems = validation.problems.into_iter();
    problems.map(|problem| (problem.place, problem.reason)).collect()
}

#[tokio::test]
async fn everything_that_is_wrong_in_a_task_is_told_at_once() {
    let scene = scene();
    let places = async |task: Value| -> Vec<String> {
        let problems = validated(&scene, &task.to_string()).await;
        problems.into_iter().map(|(place, _)| place).collect()
    };
    let valid = json!({"name": "uptime", "provider": "ping", "arguments": {}, "description": "Is it there?"});
    assert_eq!(places(valid).await, [""; 0]);
    for (task, expected) in [
        (
            json!({"name": "x", "provider": "ping", "arguments": {"a": 1, "b": 2}, "argument": {}}),
            vec!["$.argument", "$.arguments.a", "$.arguments.b"],
        ),
        (json!({"name": "x", "provider": "telnet"}), vec!["$.provider"]),
        (
            json!({"name": "", "provider": "ping", "owner": 1}),
            vec!["$.owner", "$.name"],
        ),
        (json!({"provider": "ping"}), vec!["$"]),
        (json!([]), vec!["$"]),
    ] {
        let what = task.to_string();
        assert_eq!(places(task).await, expected, "{what}");
    }
    let mut wraps = task(9, "wraps");
    wraps.pre_tasks = vec!["reachable".to_owned()];
    wraps.post_tasks = vec!["x".to_owned(), "gone".to_owned()];
    let mut reachable = task(8, "reachable");
    reachable.pre_tasks.clear();
    reachable.post_tasks.clear();
    *scene.store.tasks.lock().unwrap() = vec![reachable, wraps];
    let related = json!({
        "name": "x", "provider": "ping", "pre_tasks": ["reachable", "none"], "post_tasks": ["x", "wraps"],
    });
    let expected = ["$.pre_tasks[1]", "$.post_tasks[0]", "$.post_tasks[1]"];
    assert_eq!(places(related).await, expected);
    let missing = validated(&scene, r#"{"provider": "ping"}"#).await;
    assert!(missing[0].1.contains("name"), "{missing:?}");
    let request = request("POST", "/v1/tasks/validate", "all").body(Body::from("name: x"));
    let answer = scene.send(request.unwrap()).await;
    assert_eq!(answer.problem(), (400, "invalid-json"));
}

#[tokio::test]
async fn a_schedule_says_what_it_requests_and_when() {
    let scene = scene();
    let request = json!({"task": "uptime", "execute_on": [1], "execute_on_type": "DEVICE", "dry_run": true});
    *scene.store.schedules.lock().unwrap() = vec![ScheduleRow {
        number: 1,
        name: "nightly".to_owned(),
        cron: "0 2 * * *".to_owned(),
        time_zone: "Europe/Stockholm".to_owned(),
        request: serde_json::from_value(request).unwrap(),
        enabled: true,
        next_at: Some(at()),
        last_at: None,
        saved_at: at(),
        saved_by: None,
    }];
    let answer = scene.get("/v1/schedules").await;
    let page: SchedulePage = serde_json::from_value(answer.body).unwrap();
    assert_eq!(page.next, None);
    let [schedule] = &page.schedules[..] else {
        panic!("{page:?}")
    };
    assert_eq!(
        (schedule.task.task.to_string(), schedule.next_at),
        ("uptime".to_owned(), Some(at()))
    );
}

#[tokio::test]
async fn providers_are_shown_with_their_schemas() {
    let scene = scene();
    let list = scene.get("/v1/providers").await.body;
    let shown = scene.get("/v1/providers/ping").await.body;
    assert_eq!(list["providers"], json!([shown]));
    assert_eq!(shown["json_schema"]["additionalProperties"], false);
}
