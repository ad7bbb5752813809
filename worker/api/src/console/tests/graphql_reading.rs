//! What is read by GraphQL.

use std::collections::BTreeMap;

use axum::body::Body;
use lockstep_http::{ReadScope, Token};
use lockstep_protocol::{ElementState, EntityType, ExecutionState, Level};
use lockstep_store::{
    CheckRow, Client, DeviceId, EntityResult, FactRow, GroupEntity, Interface, ParentStep, PlanApproval,
    TaskRow,
};
use serde_json::{Value, json};

use super::executions::{at, element, execution};
use super::{Answer, Scene, request, scene};
use crate::fakes::device;

async fn ask_as(scene: &Scene, token: &str, query: &str) -> Answer {
    let request = request("POST", "/graphql", token).header("content-type", "application/json");
    let body = json!({"query": query}).to_string();
    scene.send(request.body(Body::from(body)).unwrap()).await
}

/// The data of an answer without errors.
async fn ask(scene: &Scene, query: &str) -> Value {
    let answer = ask_as(scene, "all", query).await;
    assert_eq!(answer.body.get("errors"), None, "{query}\n{}", answer.body);
    answer.body["data"].clone()
}

/// The data of an answer, and the codes of its errors with their paths.
async fn failing(scene: &Scene, token: &str, query: &str) -> (Value, BTreeMap<String, String>) {
    let answer = ask_as(scene, token, query).await;
    let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
    let errors = errors.iter().map(|error| {
        let path = error["path"].as_array().cloned().unwrap_or_default();
        let path: Vec<String> = path
            .iter()
            .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
            .collect();
        let code = error["extensions"]["code"].as_str().unwrap_or_default();
        (path.join("."), code.to_owned())
    });
    (answer.body["data"].clone(), errors.collect())
}

/// So many devices with `ports` interfaces each, a client behind each interface, all in one group.
fn fleet(devices: u64, ports: u64) -> Scene {
    let scene = scene();
    let store = &scene.store;
    let entities = &store.entities;
    for id in 1..=devices {
        let number = i64::try_from(id).unwrap();
        let name = format!("sw{id:03}");
        store
            .devices
            .lock()
            .unwrap()
            .push(device(number, &name, id % 2 == 0));
        entities.members.lock().unwrap().push((7, id));
        for port in 1..=ports {
            let interface = id * 1000 + port;
            entities.interfaces.lock().unwrap().push(Interface {
                id: interface,
                device: DeviceId(number),
                name: format!("Ethernet{port:02}").try_into().unwrap(),
            });
            entities.clients.lock().unwrap().push(Client {
                id: interface,
                mac: format!("02:00:00:{:02x}:{port:02x}:00", id % 256)
                    .try_into()
                    .unwrap(),
                name: None,
                ip: Some("192.0.2.7".parse().unwrap()),
                interface: Some(interface),
                group: None,
            });
        }
        entities.facts.lock().unwrap().push((
            EntityType::Device,
            id,
            FactRow {
                key: "version".to_owned(),
                value: json!({"os": [4, 31]}),
                at: at(),
                element: 3,
            },
        ));
        entities.checks.lock().unwrap().push((
            EntityType::Device,
            id,
            CheckRow {
                key: "up".to_owned(),
                result: "nok".to_owned(),
                reason: Some("no answer".to_owned()),
                metrics: json!({"rtt": null}),
                at: at(),
                element: 3,
            },
        ));
    }
    entities.groups.lock().unwrap().push(GroupEntity {
        id: Some(7),
        name: "campus".to_owned().try_into().unwrap(),
        location: Some(true),
        rule: None,
    });
    scene
}

const LEVELS: &str = "{ devices(first: 100) { nodes { hostname \
    interfaces(first: 20) { nodes { name device { hostname groups(first: 2) { nodes { name } } } \
        clients(first: 1) { nodes { mac interface { name } } } } pageInfo { hasNextPage } } \
    facts(first: 5) { nodes { key value } } checks(first: 5) { nodes { result } } } } }";

#[tokio::test]
async fn a_level_is_one_call_of_the_store_however_many_objects_it_has() {
    let mut of_each = Vec::new();
    for devices in [1, 10, 100] {
        let scene = fleet(devices, 2);
        // Some of it: all of it costs more than a request may.
        let query = LEVELS.replace("first: 20", "first: 5");
        let data = ask(&scene, &query).await;
        let nodes = data["devices"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len() as u64, devices);
        for node in nodes {
            let ports = &node["interfaces"]["nodes"];
            assert_eq!(ports[1]["device"]["hostname"], node["hostname"]);
            assert_eq!(ports[1]["device"]["groups"]["nodes"], json!([{"name": "campus"}]));
            assert_eq!(ports[1]["clients"]["nodes"][0]["interface"]["name"], "Ethernet02");
            assert_eq!(node["facts"]["nodes"][0]["value"], json!({"os": [4, 31]}));
            assert_eq!(node["checks"]["nodes"], json!([{"result": "NOK"}]));
        }
        of_each.push(scene.store.calls.lock().unwrap().len());
    }
    assert_eq!(of_each, [8, 8, 8]);
}

/// The first request of GraphQL in the documentation of reading.
#[tokio::test]
async fn the_documented_request_is_answered() {
    const TEXT: &str = include_str!("../../../../../docs/reference/graphql.md");
    let (_, reading) = TEXT.split_once("\n## Read\n").unwrap();
    let (_, request) = reading.split_once("```graphql\n").unwrap();
    let (request, _) = request.split_once("```").unwrap();
    let scene = fleet(3, 1);
    let devices = ask(&scene, request).await["devices"].clone();
    assert_eq!(devices["totalCount"], 2);
    let ports = &devices["nodes"][0]["interfaces"]["nodes"];
    assert_eq!(ports[0]["clients"]["nodes"][0]["ip"], "192.0.2.7");
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    let scene = fleet(5, 3);
    let page = async |arguments: &str| -> (Vec<String>, bool, Value) {
        let query = format!(
            "{{ devices({arguments}) {{ edges {{ cursor node {{ hostname }} }} nodes {{ id }} totalCount pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let list = ask(&scene, &query).await["devices"].clone();
        let edges = list["edges"].as_array().unwrap().iter();
        let names: Vec<String> = edges
            .map(|edge| edge["node"]["hostname"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(list["nodes"].as_array().unwrap().len(), names.len());
        let more = list["pageInfo"]["hasNextPage"].as_bool().unwrap();
        if let Some(last) = list["edges"].as_array().unwrap().last() {
            assert_eq!(last["cursor"], list["pageInfo"]["endCursor"]);
        }
        (names, more, list["totalCount"].clone())
    };
    assert_eq!(
        page("first: 2").await,
        (vec!["sw001".into(), "sw002".into()], true, json!(5))
    );
    assert_eq!(
        page("first: 2, after: \"sw004\"").await,
        (vec!["sw005".into()], false, json!(5))
    );
    assert_eq!(
        page("first: 3, synchronized: true").await,
        (vec!["sw002".into(), "sw004".into()], false, json!(2))
    );
    assert_eq!(page("after: \"sw999\"").await, (vec![], false, json!(5)));
    let nested = "{ device(hostname: \"sw001\") { interfaces(first: 2) { nodes { name } totalCount pageInfo { hasNextPage endCursor } } } }";
    let list = ask(&scene, nested).await["device"]["interfaces"].clone();
    assert_eq!(
        list,
        json!({"nodes": [{"name": "Ethernet01"}, {"name": "Ethernet02"}], "totalCount": 3,
            "pageInfo": {"hasNextPage": true, "endCursor": "Ethernet02"}})
    );
    let next = nested.replace("first: 2", "first: 2, after: \"Ethernet02\"");
    let list = ask(&scene, &next).await["device"]["interfaces"].clone();
    assert_eq!(
        list["pageInfo"],
        json!({"hasNextPage": false, "endCursor": "Ethernet03"})
    );
    // Nothing is counted that was not asked for.
    let calls = scene.store.calls.lock().unwrap().len();
    ask(&scene, "{ devices { nodes { id } } }").await;
    assert_eq!(scene.store.calls.lock().unwrap()[calls..], ["devices"]);
}

#[tokio::test]
async fn arguments_that_cannot_be_used_are_refused_with_a_code() {
    let scene = fleet(1, 1);
    for arguments in [
        "first: 0",
        "first: -1",
        "first: 1001",
        "after: \"not a hostname\"",
        "deviceType: \"no type!\"",
        "group: \"\"",
    ] {
        let query = format!("{{ devices({arguments}) {{ nodes {{ id }} }} }}");
        let (data, errors) = failing(&scene, "all", &query).await;
        assert_eq!(data, json!({"devices": null}), "{arguments}");
        assert_eq!(errors["devices"], "invalid-argument", "{arguments}");
    }
    for query in [
        "{ device { id } }",
        "{ device(id: 1, hostname: \"sw001\") { id } }",
        "{ facts(entityType: DEVICE) { nodes { key } } }",
        "{ interfaces(after: \"x\") { nodes { id } } }",
    ] {
        let (_, errors) = failing(&scene, "all", query).await;
        assert_eq!(
            errors.values().collect::<Vec<_>>(),
            ["invalid-argument"],
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_does_not_exist_is_null() {
    let scene = fleet(1, 1);
    let query = "{ a: device(id: 99) { id } b: device(id: \"x\") { id } c: device(hostname: \"none\") { id } \
        d: group(name: \"none\") { id } e: interface(id: 99) { id } f: client(mac: \"x\") { id } g: task(id: 9) { id } \
        h: provider(name: \"none\") { name } i: execution(id: 9) { id } j: element(id: 9) { id } \
        k: execution(id: \"no number\") { id } l: neopsTask(name: \"none\") { id } }";
    let data = ask(&scene, query).await;
    let fields = data.as_object().unwrap();
    assert!(
        fields.len() == 12 && fields.values().all(Value::is_null),
        "{data}"
    );
}

fn executed() -> Scene {
    let scene = fleet(2, 1);
    let store = &scene.store;
    let mut dry = execution(1, "uptime", ExecutionState::Failed);
    dry.request.requested.dry_run = true;
    *store.executions.lock().unwrap() = vec![dry, execution(2, "uptime", ExecutionState::Running)];
    let changed = |number, execution, state| {
        let mut element = element(number, execution, state);
        element.row.changed = true;
        element
    };
    *store.elements.lock().unwrap() = vec![
        changed(11, 1, ElementState::Successful),
        changed(12, 2, ElementState::Successful),
        element(13, 2, ElementState::Running),
        element(14, 2, ElementState::PrecheckFailed),
    ];
    let on = [(11, 1), (12, 1), (13, 2)].map(|(element, device)| (element, DeviceId(device)));
    *store.entities.devices.lock().unwrap() = on.into();
    *store.entities.results.lock().unwrap() = vec![(
        12,
        EntityResult {
            phase: 0,
            level: Level::Interface,
            entity: 1001,
            name: "Ethernet1".to_owned(),
            parent: Some(1),
            state: ElementState::Successful,
            reason: None,
            message: Some("fine".to_owned()),
            changed: true,
            pre_run: json!(null),
            data: json!({"after": 1}),
        },
    )];
    *store.tasks.lock().unwrap() = vec![TaskRow {
        number: 5,
        name: "uptime".to_owned(),
        description: Some("how long".to_owned()),
        provider: "ping".to_owned(),
        arguments: json!({"count": 3}),
        pre_tasks: vec!["uptime".to_owned(), "gone".to_owned()],
        post_tasks: Vec::new(),
        run_input_json_schema: None,
        run_input_ui_schema: None,
        saved_at: at(),
        saved_by: Some("anna".to_owned()),
    }];
    scene
}

#[tokio::test]
async fn the_steps_of_a_workflow_are_found_by_its_execution() {
    let scene = executed();
    scene.store.executions.lock().unwrap()[0].request.parent = Some(ParentStep {
        execution: 9,
        phase: 0,
        step: 1,
    });
    let number = scene.store.executions.lock().unwrap()[0].number.to_string();
    let data = ask(&scene, "{ executions(parent: 9) { nodes { id parentId } } }").await;
    assert_eq!(
        data["executions"]["nodes"],
        json!([{"id": number, "parentId": "9"}])
    );
    let query = "{ executions(parent: \"x\") { nodes { id } } }";
    let (_, codes) = failing(&scene, "all", query).await;
    assert_eq!(codes["executions"], "invalid-argument");
}

#[tokio::test]
async fn an_execution_has_its_task_and_its_elements() {
    let scene = executed();
    let query = "{ executions(first: 5) { nodes { id state executionType do done counts { failed } dryRun executeOnType \
        neopsTask { id name description taskKwargs provider { name providerType runOn runOnStrict deprecated } preRunTasks { name } } \
        elements(first: 2) { totalCount pageInfo { hasNextPage } nodes { id state changed willChange result hostname \
            device { hostname } results(first: 5) { nodes { level state result } } } } } } }";
    let data = ask(&scene, query).await;
    let [running, dry] = [0, 1].map(|index| data["executions"]["nodes"][index].clone());
    assert_eq!(
        (&running["id"], &running["state"], &running["executionType"]),
        (&json!("2"), &json!("RUNNING"), &json!("CHECK"))
    );
    assert_eq!(
        (&running["do"], &running["done"], &running["counts"]),
        (&json!(6), &json!(6), &json!({"failed": 2}))
    );
    // As it was when the execution was accepted, with what is stored about it now.
    assert_eq!(
        running["neopsTask"],
        json!({"id": "5", "name": "uptime", "description": "how long", "taskKwargs": "{\"count\":1}",
            "provider": {"name": "ping", "providerType": "CHECK", "runOn": "DEVICE", "runOnStrict": false, "deprecated": false},
            "preRunTasks": [{"name": "uptime"}, null]})
    );
    assert_eq!(
        (
            &running["elements"]["totalCount"],
            &running["elements"]["pageInfo"]["hasNextPage"]
        ),
        (&json!(6), &json!(true))
    );
    let first = &running["elements"]["nodes"][0];
    assert_eq!(
        *first,
        json!({"id": "12", "state": "SUCCESSFUL", "changed": true, "willChange": false, "result": {"outputs": ["a\u{1b}b"]},
            "hostname": "sw12", "device": {"hostname": "sw001"},
            "results": {"nodes": [{"level": "INTERFACE", "state": "SUCCESSFUL", "result": {"after": 1}}]}})
    );
    assert_eq!(dry["executionType"], "DRYRUN");
    let planned = &dry["elements"]["nodes"][0];
    assert_eq!(
        (&planned["changed"], &planned["willChange"]),
        (&json!(false), &json!(true))
    );
    for (filter, expected) in [
        ("open: true", json!([{"id": "13"}])),
        ("outcome: DONE", json!([{"id": "12"}])),
        ("outcome: FAILED", json!([{"id": "14"}])),
        ("outcome: SKIPPED", json!([])),
    ] {
        let query = format!("{{ execution(id: 2) {{ elements({filter}) {{ nodes {{ id }} }} }} }}");
        let data = ask(&scene, &query).await;
        assert_eq!(data["execution"]["elements"]["nodes"], expected, "{filter}");
    }
    let both = "{ execution(id: 2) { elements(outcome: DONE, open: true) { nodes { id } } } }";
    let (_, errors) = failing(&scene, "all", both).await;
    assert_eq!(errors["execution.elements"], "invalid-argument");
    let query = "{ device(hostname: \"sw001\") { elements { nodes { id execution { id } } } executions(first: 1) { nodes { id } pageInfo { hasNextPage } } } }";
    let device = ask(&scene, query).await["device"].clone();
    assert_eq!(
        device,
        json!({"elements": {"nodes": [{"id": "12", "execution": {"id": "2"}}, {"id": "11", "execution": {"id": "1"}}]},
            "executions": {"nodes": [{"id": "2"}], "pageInfo": {"hasNextPage": true}}})
    );
}

#[tokio::test]
async fn tasks_and_providers_have_the_names_of_neops() {
    let scene = executed();
    let query = "{ neopsTasks { totalCount nodes { id name } } tasks { nodes { id } } neopsTask(id: 5) { name savedBy } \
        task(name: \"uptime\") { id arguments } providers { name } provider(name: \"ping\") { shortDescription jsonSchema } \
        neopsTaskProvider(name: \"ping\") { results { name providerType runOnAllIfEmpty } } }";
    let data = ask(&scene, query).await;
    assert_eq!(
        data,
        json!({
            "neopsTasks": {"totalCount": 1, "nodes": [{"id": "5", "name": "uptime"}]},
            "tasks": {"nodes": [{"id": "5"}]},
            "neopsTask": {"name": "uptime", "savedBy": "anna"},
            "task": {"id": "5", "arguments": {"count": 3}},
            "providers": [{"name": "ping"}],
            "provider": {"shortDescription": "Asks devices for an answer",
                "jsonSchema": {"type": "object", "additionalProperties": false}},
            "neopsTaskProvider": {"results": [{"name": "ping", "providerType": "CHECK", "runOnAllIfEmpty": false}]},
        })
    );
}

#[tokio::test]
async fn a_field_that_may_not_be_read_is_null_with_a_code() {
    let token = |name: &str, reads: &[ReadScope]| {
        Token::new(name, &name.into(), Vec::new()).with_reads(reads.iter().copied())
    };
    let scene = executed().with_tokens([
        token("devices", &[ReadScope::Devices]),
        token("executions", &[ReadScope::Executions]),
        token("nothing", &[]),
    ]);
    let query = "{ device(hostname: \"sw001\") { hostname facts { nodes { key } } elements { nodes { id } } \
        interfaces { nodes { name } } } execution(id: 2) { id } tasks { nodes { id } } }";
    let (data, errors) = failing(&scene, "devices", query).await;
    assert_eq!(
        data,
        json!({"device": {"hostname": "sw001", "facts": null, "elements": null, "interfaces": {"nodes": [{"name": "Ethernet01"}]}},
            "execution": null, "tasks": null})
    );
    assert_eq!(
        errors.keys().collect::<Vec<_>>(),
        ["device.elements", "device.facts", "execution", "tasks"]
    );
    assert!(errors.values().all(|code| code == "not-allowed"), "{errors:?}");
    let query = "{ execution(id: 2) { id elements(first: 1) { nodes { id result results { nodes { level } } device { id } } } \
        neopsTask { name description } } }";
    let (data, errors) = failing(&scene, "executions", query).await;
    assert_eq!(
        data["execution"],
        json!({"id": "2", "elements": {"nodes": [{"id": "12", "result": null, "results": null, "device": null}]},
            "neopsTask": {"name": "uptime", "description": null}})
    );
    assert_eq!(errors.len(), 4, "{errors:?}");
    let all = "{ executions { nodes { id } } element(id: 11) { id } devices { nodes { id } } device(id: 1) { id } \
        groups { nodes { id } } group(id: 7) { id } interfaces { nodes { id } } interface(id: 1001) { id } \
        clients { nodes { id } } client(id: 1001) { id } facts { nodes { key } } checks { nodes { key } } \
        tasks { nodes { id } } neopsTasks { nodes { id } } task(id: 5) { id } neopsTask(id: 5) { id } \
        providers { name } provider(name: \"ping\") { name } neopsTaskProvider { results { name } } execution(id: 1) { id } }";
    let (data, errors) = failing(&scene, "nothing", all).await;
    assert!(data.as_object().unwrap().values().all(Value::is_null), "{data}");
    assert_eq!(errors.len(), 20, "{errors:?}");
}

#[tokio::test]
async fn json_that_is_too_large_is_null_with_a_code() {
    let scene = executed();
    for element in &mut *scene.store.elements.lock().unwrap() {
        element.data = json!("x".repeat(20));
    }
    *scene.store.entities.most_bytes.lock().unwrap() = Some(30);
    let query = "{ execution(id: 2) { elements { nodes { id result } } } }";
    let (data, errors) = failing(&scene, "all", query).await;
    let nodes = &data["execution"]["elements"]["nodes"];
    assert!(nodes[0]["result"].is_string() && nodes[1]["result"].is_null());
    assert_eq!(errors["execution.elements.nodes.1.result"], "too-large");
}

#[tokio::test]
async fn a_store_that_is_away_is_an_error_of_each_field() {
    let scene = executed();
    scene
        .store
        .unavailable
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let query = "{ devices { nodes { id } } execution(id: 1) { id } interface(id: 7) { id } }";
    let (data, errors) = failing(&scene, "all", query).await;
    assert_eq!(
        data,
        json!({"devices": null, "execution": null, "interface": null})
    );
    assert_eq!(
        errors.into_values().collect::<Vec<_>>(),
        ["store-away", "store-away", "store-away"]
    );
}

#[tokio::test]
async fn a_group_has_its_devices_and_default_has_all() {
    let scene = fleet(3, 1);
    scene.store.entities.groups.lock().unwrap().insert(
        0,
        GroupEntity {
            id: None,
            name: "DEFAULT".to_owned().try_into().unwrap(),
            location: None,
            rule: None,
        },
    );
    scene
        .store
        .entities
        .members
        .lock()
        .unwrap()
        .retain(|(_, device)| *device != 2);
    let query = "{ groups(first: 5) { nodes { id name devices(first: 2) { nodes { hostname } totalCount pageInfo { hasNextPage } } \
        clients { nodes { id } } facts { nodes { key } } } } }";
    let groups = ask(&scene, query).await["groups"]["nodes"].clone();
    let none = json!({"nodes": []});
    assert_eq!(
        groups,
        json!([
            {"id": null, "name": "DEFAULT", "clients": none, "facts": none, "devices": {"nodes": [{"hostname": "sw001"},
                {"hostname": "sw002"}], "totalCount": 3, "pageInfo": {"hasNextPage": true}}},
            {"id": "7", "name": "campus", "clients": none, "facts": none, "devices": {"nodes": [{"hostname": "sw001"},
                {"hostname": "sw003"}], "totalCount": 2, "pageInfo": {"hasNextPage": false}}},
        ])
    );
}

#[tokio::test]
async fn a_request_that_would_read_too_much_is_refused_before_it_reads() {
    let scene = fleet(1, 1);
    let query = LEVELS.replace("first: 20", "first: 1000");
    let answer = ask_as(&scene, "all", &query).await;
    assert_eq!(answer.body["data"], json!(null));
    let message = answer.body["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("complex"), "{message}");
    assert!(scene.store.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn approvals_are_a_field_of_their_plan() {
    let scene = scene();
    let mut plan = execution(2, "sync", ExecutionState::Successful);
    plan.request.provider = "sync".to_owned();
    plan.request.requested.dry_run = true;
    *scene.store.executions.lock().unwrap() = vec![execution(1, "uptime", ExecutionState::Running), plan];
    scene.store.approvals.lock().unwrap().push(PlanApproval {
        plan: 2,
        by: "berta".to_owned(),
        at: at(),
        expires_at: at(),
        note: None,
    });
    let found = ask(&scene, "{ execution(id: 2) { approvals { by note expiresAt } } }").await;
    let approvals = &found["execution"]["approvals"];
    assert_eq!(approvals[0]["by"], "berta", "{found}");
    let other = ask(&scene, "{ execution(id: 1) { approvals { by } } }").await;
    assert_eq!(other["execution"]["approvals"], json!([]), "{other}");
}
