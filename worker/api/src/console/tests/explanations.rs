//! Messages that are found by their ids, and explanations.

use lockstep_http::{ReadScope, Token};
use lockstep_protocol::{ExecutionState, MessageKey, TypePattern};
use lockstep_store::{CauseId, CauseRow, DeviceId};
use serde_json::{Value, json};

use super::executions::{at, element, execution};
use super::*;
use crate::fakes::device;

/// A processed message with the id `1` of this source and sender.
fn message(source: &str, by: &str) -> InboxRow {
    InboxRow {
        identity: serde_json::from_value(json!({"source": source, "id": "1"})).unwrap(),
        actor: Some(by.into()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        ..applied("1")
    }
}

fn processed(scene: &Scene, rows: impl IntoIterator<Item = InboxRow>) {
    let rows = rows.into_iter().map(|row| (row.key(), row));
    scene.store.rows.lock().unwrap().extend(rows);
}

/// A token for each scope, with its name, and `none`, which may read nothing.
fn with_scopes(scene: Scene) -> Scene {
    let token = |name: &str, scopes: &[ReadScope]| {
        Token::new(name, &name.into(), Vec::<TypePattern>::new()).with_reads(scopes.iter().copied())
    };
    let scopes = ReadScope::ALL
        .iter()
        .map(|scope| token(scope.as_str(), &[*scope]));
    let tokens: Vec<Token> = scopes
        .chain([token("none", &[]), token("all", ReadScope::ALL)])
        .collect();
    scene.with_tokens(tokens)
}

fn sources(answer: &Answer) -> Vec<(String, String)> {
    let messages = answer.body["messages"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = messages
        .iter()
        .map(|one| (text(&one["source"]), text(&one["by"])));
    pairs.collect()
}

#[tokio::test]
async fn messages_are_found_by_their_id_as_far_as_the_token_may_read_them() {
    let scene = scene();
    let rows = [
        message("urn:b", "ztp"),
        message("urn:a", "none"),
        message("urn:a", "ztp"),
    ];
    processed(&scene, rows);
    let scene = with_scopes(scene);
    let pair = |source: &str, by: &str| (source.to_owned(), by.to_owned());
    let all = [pair("urn:a", "none"), pair("urn:a", "ztp"), pair("urn:b", "ztp")];
    for (token, query, expected) in [
        ("messages", "", &all[..]),
        ("messages", "?source=urn:a", &all[..2]),
        ("messages", "?source=urn:a&by=ztp", &all[1..2]),
        ("none", "", &all[..1]),
    ] {
        let answer = scene.get_as(token, &format!("/v1/messages/1{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(sources(&answer), expected, "{token} {query}");
    }
    let own = scene.get_as("none", "/v1/messages/1").await.body["messages"][0].clone();
    assert_eq!(own["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        (&own["type"], &own["dead_letters"]),
        (&json!("lockstep.device.removed"), &json!([]))
    );
    let others = scene.get_as("messages", "/v1/messages/1?source=urn:b").await.body;
    assert_eq!(others["messages"][0]["dead_letters"], Value::Null, "not allowed");
    for (token, path) in [
        ("none", "/v1/messages/1?source=urn:b"),
        ("messages", "/v1/messages/2"),
        ("messages", "/v1/messages/1?by=nobody"),
    ] {
        let answer = scene.get_as(token, path).await;
        assert_eq!(answer.problem(), (404, "unknown-message"), "{token} {path}");
    }
}

/// Device `sw1` was flagged by the message `1` of `urn:test`, planned by execution 1 and synchronized by execution 2.
pub(super) fn synchronized() -> Scene {
    let scene = scene();
    processed(&scene, [message("urn:test", "ztp")]);
    let store = &scene.store;
    *store.devices.lock().unwrap() = vec![device(1, "sw1", true)];
    let names = [(
        (lockstep_protocol::commands::ExecuteOn::Device, "sw1".to_owned()),
        1,
    )];
    store.names.lock().unwrap().extend(names);
    let cause = CauseRow {
        cause: "neighbor_deleted".to_owned(),
        identity: identity("1"),
        kind: "lockstep.device.removed".to_owned(),
        actor: Some("ztp".to_owned()),
        at: at(),
        note: None,
        detail: None,
    };
    store.causes.lock().unwrap().insert(CauseId(1), cause);
    let sync = |number: u64, dry_run: bool, arguments: Value| {
        let mut row = execution(number, "sync", ExecutionState::Successful);
        row.request.provider = "sync".to_owned();
        row.request.requested.dry_run = dry_run;
        row.request.task_arguments = arguments;
        row.request.relaunch_of = None;
        row
    };
    let plan = sync(1, true, json!({}));
    let apply = sync(2, false, json!({"plan": plan.id}));
    *store.executions.lock().unwrap() = vec![plan, apply];
    let ended = lockstep_protocol::ElementState::Successful;
    let mut elements = vec![element(11, 1, ended), element(12, 2, ended)];
    for element in &mut elements {
        element.data = json!({"stage": "done"});
    }
    *store.elements.lock().unwrap() = elements;
    let on = [(11, DeviceId(1)), (12, DeviceId(1))];
    store.entities.devices.lock().unwrap().extend(on);
    with_scopes(scene)
}

fn numbers(list: &Value) -> Vec<u64> {
    let list = list.as_array().cloned().unwrap_or_default();
    let numbers = list
        .iter()
        .map(|one| one.get("element").unwrap_or(one)["number"].as_u64().unwrap());
    numbers.collect()
}

#[tokio::test]
async fn a_message_is_explained_to_its_results() {
    let scene = synchronized();
    let whole = scene.get("/v1/explain/1?of=message").await.body;
    assert_eq!(whole["about"], "message", "{whole}");
    assert_eq!(whole["message"]["source"], "urn:test");
    let cause = &whole["causes"][0];
    assert_eq!(cause["cause"]["cause"], "neighbor_deleted", "{whole}");
    assert_eq!(cause["rules"][0]["devices"], "those that get neighbor_deleted");
    assert_eq!(whole["devices"][0]["hostname"], "sw1");
    assert_eq!(numbers(&whole["executions"]), [1, 2]);
    assert_eq!(numbers(&whole["elements"]), [11, 12]);
    assert_eq!(whole["elements"][1]["step"], "done");
    assert_eq!((&whole["not_allowed"], &whole["notes"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn an_execution_and_an_element_are_explained_with_what_they_name() {
    let scene = synchronized();
    let plan = scene.get("/v1/explain/1").await.body;
    assert_eq!(
        (&plan["about"], numbers(&plan["executions"])),
        (&json!("execution"), vec![1, 2])
    );
    let element = scene.get("/v1/explain/12").await.body;
    assert_eq!(element["about"], "element", "{element}");
    assert_eq!(numbers(&element["executions"]), [1, 2]);
    let id = scene.store.executions.lock().unwrap()[1].id;
    let by_id = scene.get(&format!("/v1/explain/{id}")).await.body;
    assert_eq!(
        (&by_id["about"], numbers(&by_id["elements"])),
        (&json!("execution"), vec![11, 12])
    );
    assert_eq!(
        by_id["notes"][0],
        "the message that requested it is not kept any more (retention)"
    );
}

#[tokio::test]
async fn what_a_token_may_not_read_is_named_and_left_out() {
    let scene = synchronized();
    let missing = |body: &Value| -> Vec<String> {
        let parts = body["not_allowed"].as_array().cloned().unwrap_or_default();
        parts
            .iter()
            .map(|part| part["needs"].as_str().unwrap().to_owned())
            .collect()
    };
    let of_message = scene.get_as("messages", "/v1/explain/1?of=message").await.body;
    assert_eq!(missing(&of_message), ["devices", "executions", "device-output"]);
    for part in ["causes", "devices", "executions", "elements"] {
        assert_eq!(of_message[part], json!([]), "{part}");
    }
    let of_execution = scene.get_as("executions", "/v1/explain/2").await.body;
    assert_eq!(missing(&of_execution), ["messages", "devices", "device-output"]);
    assert_eq!(of_execution["message"], Value::Null);
    assert_eq!(numbers(&of_execution["elements"]), [11, 12]);
    assert_eq!(of_execution["elements"][0]["step"], Value::Null);
    for (token, path, expected) in [
        ("none", "/v1/explain/2", (403, "not-allowed")),
        ("none", "/v1/explain/1?of=message", (404, "nothing-to-explain")),
        ("all", "/v1/explain/99", (404, "nothing-to-explain")),
        ("all", "/v1/explain/x", (404, "nothing-to-explain")),
        ("all", "/v1/explain/1?of=task", (400, "invalid-query")),
    ] {
        let answer = scene.get_as(token, path).await;
        assert_eq!(answer.problem(), expected, "{token} {path}");
    }
    processed(&scene, [message("urn:other", "netbox")]);
    let several = scene.get("/v1/explain/1?of=message").await;
    assert_eq!(several.problem(), (400, "invalid-query"));
    let detail = several.body["detail"].as_str().unwrap();
    assert!(detail.contains("source urn:other by netbox"), "{detail}");
    let one = scene.get("/v1/explain/1?of=message&source=urn:test").await;
    assert_eq!(one.status, 200);
    let key = MessageKey {
        identity: identity("1"),
        actor: Some("ztp".into()),
    };
    assert!(scene.store.rows.lock().unwrap().contains_key(&key));
}
