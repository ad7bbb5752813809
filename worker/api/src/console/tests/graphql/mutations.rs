//! Mutations: the message that is published, and what its outcome becomes.

use std::sync::Arc;
use std::time::Duration;

use lockstep_protocol::envelope::Decoded;
use lockstep_protocol::results::{CommandApplied, ExecutionAccepted, MessageRejected};
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Code, Envelope, ExecutionState, Kind, MessageKey, WorkResult};
use lockstep_store::InboxState;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::executions::execution;
use super::super::{Answer, Scene, applied, scene, scene_with};
use crate::ConsoleLimits;
use crate::fakes::FakeMode;

const SEED: &str = "mutation neopsTask {
  neopsTaskExecute (neopsTaskId: 1, executeOn: [1], executeOnType: DEVICE, dryRun: true, taskArguments: \"{}\") {
    execution {
      id
      state
      neopsTask {
        id
        name
      }
    }
  }
}";

/// Sends a request while a worker answers its only message with this result. Returns the answer and the message.
async fn answered(scene: &Scene, query: &str, result: WorkResult) -> (Answer, Envelope) {
    let before = scene.published().len();
    let worker = async {
        loop {
            let published = scene.published();
            if let Some(outgoing) = published.get(before) {
                break Envelope::decode(&outgoing.body).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let processed = async {
        let decoded = worker.await;
        process(scene, &decoded, result);
        decoded.envelope
    };
    tokio::join!(scene.graphql(query), processed)
}

fn process(scene: &Scene, decoded: &Decoded, result: WorkResult) {
    let mut row = applied("unused");
    row.identity = decoded.envelope.identity.clone();
    row.digest = decoded.digest;
    row.actor = Some("root".into());
    if matches!(result, WorkResult::MessageRejected(_)) {
        row.state = InboxState::Dead;
    }
    row.result = result.into();
    let key = MessageKey {
        identity: row.identity.clone(),
        actor: Some("root".into()),
    };
    scene.store.rows.lock().unwrap().insert(key, row);
}

fn accepted(number: u128) -> WorkResult {
    WorkResult::ExecutionAccepted(ExecutionAccepted {
        execution: Uuid::from_u128(number),
        elements: 1,
        dry_run: true,
        actor: None,
    })
}

fn rejected(code: Code, place: &str) -> WorkResult {
    WorkResult::MessageRejected(MessageRejected {
        code,
        reason: "the reason".to_owned(),
        place: Some(place.to_owned()),
        message_type: None,
        refused: true,
    })
}

fn with_execution() -> Scene {
    let scene = scene();
    *scene.store.executions.lock().unwrap() = vec![execution(7, "uptime", ExecutionState::Running)];
    scene
}

#[tokio::test(start_paused = true)]
async fn the_call_of_neops_word_for_word_publishes_a_command_and_returns_the_execution() {
    let scene = with_execution();
    let (answer, envelope) = answered(&scene, SEED, accepted(7)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        json!({"data": {"neopsTaskExecute": {"execution": {
            "id": "7", "state": "RUNNING", "neopsTask": {"id": "5", "name": "uptime"},
        }}}})
    );
    assert_eq!(envelope.identity.source.as_str(), "urn:lockstep:graphql");
    assert_eq!(envelope.actor.as_deref(), Some("root"));
    assert!(envelope.traceparent.is_some());
    let outgoing = &scene.published()[0];
    assert_eq!(outgoing.destination, Destination::Ingress(Kind::TaskRequested));
    let data = envelope.message.to_data();
    assert_eq!(
        data,
        json!({"task": 1, "execute_on": [1], "execute_on_type": "DEVICE", "dry_run": true, "arguments": {}, "limits": {}})
    );
}

#[tokio::test(start_paused = true)]
async fn every_argument_reaches_the_message() {
    let scene = with_execution();
    let query = "mutation { neopsTaskExecute(uniquetaskname: \"uptime\", executeOn: [1, \"2\"], executeOnNames: [\"sw1\"], \
                 executeOnType: GROUP, dryRun: false, taskArguments: \"{\\\"count\\\": 3}\", limits: {atOnce: 5, canary: 1, wave: 2, \
                 maxFailedPercent: 10, deadlineSeconds: 60}, messageId: \"mine\", waitSeconds: 5) { execution { id } } }";
    let (answer, envelope) = answered(&scene, query, accepted(7)).await;
    assert_eq!(
        answer.body["data"]["neopsTaskExecute"]["execution"]["id"], "7",
        "{}",
        answer.body
    );
    assert_eq!(envelope.identity.id.as_str(), "mine");
    assert_eq!(
        envelope.message.to_data(),
        json!({
            "task": "uptime", "execute_on": [1, 2], "execute_on_names": ["sw1"], "execute_on_type": "GROUP", "dry_run": false,
            "arguments": {"count": 3},
            "limits": {"at_once": 5, "canary": 1, "wave": 2, "max_failed_percent": 10, "deadline_seconds": 60},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_is_dry_unless_it_says_otherwise_and_the_other_form_returns_a_list() {
    let scene = with_execution();
    let query =
        "mutation { executeNeopsTask(neopsTaskId: \"5\", executeOnType: GLOBAL) { executions { id } } }";
    let (answer, envelope) = answered(&scene, query, accepted(7)).await;
    assert_eq!(
        answer.body,
        json!({"data": {"executeNeopsTask": {"executions": [{"id": "7"}]}}})
    );
    assert_eq!(envelope.message.to_data()["dry_run"], true);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_an_error_that_names_the_argument() {
    let scene = with_execution();
    let table = [
        (Code::UnknownTask, "$.data.task", "neopsTaskId"),
        (Code::WrongEntity, "$.data.execute_on_type", "executeOnType"),
        (
            Code::InvalidArguments,
            "$.data.arguments.commands[0]",
            "taskArguments.commands[0]",
        ),
        (Code::WrongEntity, "$.data.execute_on[0]", "executeOn[0]"),
    ];
    for (code, place, expected) in table {
        let (answer, envelope) = answered(&scene, SEED, rejected(code, place)).await;
        assert_eq!(answer.refused(), (200, code.as_str()));
        let error = answer.error();
        assert_eq!(
            (&error["place"], &error["reason"]),
            (&json!(expected), &json!("the reason"))
        );
        assert_eq!(error["id"], envelope.identity.id.as_str());
        assert_eq!(answer.body["data"], Value::Null);
    }
}

#[tokio::test]
async fn arguments_that_cannot_become_a_message_are_refused_and_nothing_is_published() {
    let scene = with_execution();
    let execute =
        |arguments: &str| format!("mutation {{ neopsTaskExecute({arguments}) {{ execution {{ id }} }} }}");
    let relaunch =
        |arguments: &str| format!("mutation {{ relaunchExecution({arguments}) {{ execution {{ id }} }} }}");
    let table = [
        (execute("executeOnType: DEVICE"), "invalid-argument", "neopsTaskId"),
        (execute("neopsTaskId: 1"), "wrong-entity", "executeOnType"),
        (execute("neopsTaskId: 1, executeOnType: GENERIC"), "wrong-entity", "executeOnType"),
        (execute("neopsTaskId: 1, executeOnType: DEVICE, executeOn: [1, \"sw1\"]"), "invalid-argument", "executeOn[1]"),
        (execute("neopsTaskId: 1, executeOnType: DEVICE, taskArguments: \"{\""), "invalid-json", "taskArguments"),
        (execute("neopsTaskId: 1, executeOnType: DEVICE, limits: {wave: 0}"), "invalid-argument", "limits.wave"),
        (
            execute("neopsTaskId: 1, executeOnType: DEVICE, limits: {maxFailedPercent: 101}"),
            "invalid-data",
            "limits.maxFailedPercent",
        ),
        (
            execute("uniquetaskname: \"\", executeOnType: DEVICE"),
            "invalid-data",
            "uniquetaskname",
        ),
        (execute("neopsTaskId: 1, executeOnType: DEVICE, messageId: \"\""), "invalid-argument", "messageId"),
        (execute("neopsTaskId: 1, executeOnType: DEVICE, waitSeconds: 61"), "invalid-argument", "waitSeconds"),
        (relaunch("id: 99"), "unknown-execution", "id"),
        (relaunch("id: 7, taskArguments: \"[]\""), "invalid-arguments", "taskArguments"),
        (
            "mutation { neopsTaskUpsert(name: \"a\", providerIdentifier: \"ping\", preRunTasks: [\"b\", 9]) { message } }".to_owned(),
            "unknown-task",
            "preRunTasks[1]",
        ),
    ];
    for (query, code, place) in table {
        let answer = scene.graphql(&query).await;
        assert_eq!(answer.refused(), (200, code), "{query}");
        assert_eq!(answer.error()["place"], place, "{query}");
    }
    let wrong_types = [
        execute("neopsTaskId: 1, executeOnType: SWITCH"),
        execute("neopsTaskId: 1.5, executeOnType: DEVICE"),
        execute("neopsTaskId: 1, executeOnType: DEVICE, taskArguments: {}"),
        execute("neopsTaskId: 1, executeOnType: DEVICE, dryRun: null"),
    ];
    for query in wrong_types {
        assert_eq!(
            scene.graphql(&query).await.refused(),
            (400, "invalid-query"),
            "{query}"
        );
    }
    assert_eq!(scene.published(), []);
}

#[tokio::test(start_paused = true)]
async fn the_same_message_id_is_the_same_execution_and_other_content_is_refused() {
    let scene = with_execution();
    let call = |dry_run: bool| {
        format!(
            "mutation {{ neopsTaskExecute(neopsTaskId: 1, executeOnType: DEVICE, dryRun: {dry_run}, messageId: \"once\") \
             {{ execution {{ id }} }} }}"
        )
    };
    let (first, _) = answered(&scene, &call(true), accepted(7)).await;
    let second = scene.graphql(&call(true)).await;
    assert_eq!(first.body, second.body);
    assert_eq!(second.body["data"]["neopsTaskExecute"]["execution"]["id"], "7");
    let published: Vec<_> = scene
        .published()
        .iter()
        .map(|outgoing| Envelope::decode(&outgoing.body).unwrap())
        .collect();
    assert_eq!((published.len(), published[0].digest), (2, published[1].digest));

    let query = json!({"query": call(false)});
    let reuse = async {
        while scene.published().len() < 3 {
            tokio::task::yield_now().await;
        }
        let mut decoded = Envelope::decode(&scene.published()[2].body).unwrap();
        decoded.envelope.identity = decoded.envelope.identity.of_reuse(&decoded.digest);
        process(&scene, &decoded, rejected(Code::IdReused, "$.id"));
    };
    let (answer, ()) = tokio::join!(scene.graphql_as("all", &query), reuse);
    assert_eq!(answer.refused(), (200, "id-reused"));
    assert_eq!(answer.error()["place"], "messageId");
}

#[tokio::test(start_paused = true)]
async fn without_an_outcome_in_time_the_error_says_which_message_to_ask_for() {
    let scene = with_execution();
    let started = tokio::time::Instant::now();
    let answer = scene.graphql(SEED).await;
    assert!(
        started.elapsed() < Duration::from_secs(21),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(answer.refused(), (200, "pending"));
    let sent = scene.only_published();
    let error = answer.error();
    assert_eq!((&error["source"], &error["id"]), (&sent["source"], &sent["id"]));
}

/// Twenty calls in one request, none of which is processed: the answer comes before the request times out, and names each message.
#[tokio::test(start_paused = true)]
async fn many_calls_share_the_time_of_a_request() {
    let scene = with_execution();
    let calls: Vec<String> = (0..20)
        .map(|index| {
            format!(
                "a{index}: abortExecution(id: \"00000000-0000-0000-0000-00000000000{}\") {{ message }}",
                index % 10
            )
        })
        .collect();
    let answer = scene
        .graphql(&format!("mutation {{ {} }}", calls.join(" ")))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // The first failed field of a mutation that is not null ends it.
    let errors = answer.body["errors"].as_array().unwrap();
    assert!(
        errors
            .iter()
            .all(|error| error["extensions"]["code"] == "pending"),
        "{}",
        answer.body
    );
    assert_eq!(errors.len(), scene.published().len());
}

#[tokio::test(start_paused = true)]
async fn without_the_broker_the_error_has_a_code_and_the_message() {
    for (mode, code) in [
        (FakeMode::Full, "queue-full"),
        (FakeMode::Unavailable, "broker-away"),
        (FakeMode::Deny, "broker-refused"),
    ] {
        let scene = with_execution();
        scene.bus.set_mode(mode);
        let answer = scene.graphql(SEED).await;
        assert_eq!(answer.refused(), (200, code));
        let error = answer.error();
        assert!(error["source"].is_string() && error["id"].is_string(), "{error}");
        assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_ends_when_the_console_stops_and_when_the_store_goes_away() {
    let scene = with_execution();
    let stop = async {
        scene.store.outcome_read.notified().await;
        scene.stop.cancel();
    };
    let (answer, ()) = tokio::join!(scene.graphql(SEED), stop);
    assert_eq!(answer.refused(), (200, "stopping"));
    assert_eq!(answer.error()["id"], scene.only_published()["id"]);

    let scene = with_execution();
    let away = async {
        scene.store.outcome_read.notified().await;
        scene
            .store
            .unavailable
            .store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let (answer, ()) = tokio::join!(scene.graphql(SEED), away);
    assert_eq!(answer.refused(), (200, "store-away"));
    assert_eq!(answer.error()["id"], scene.only_published()["id"]);
}

#[tokio::test(start_paused = true)]
async fn executions_are_controlled_by_number_and_by_id() {
    let scene = with_execution();
    let done = || {
        WorkResult::CommandApplied(CommandApplied {
            changed: true,
            message: "done".to_owned(),
            number: None,
            execution: Some(Uuid::from_u128(7)),
        })
    };
    let id = Uuid::from_u128(7);
    for (name, kind) in [
        ("abortExecution", Kind::ExecutionCancelRequested),
        ("pauseExecution", Kind::ExecutionPauseRequested),
        ("resumeExecution", Kind::ExecutionResumeRequested),
    ] {
        for by in ["7".to_owned(), format!("{id}")] {
            let query =
                format!("mutation {{ {name}(id: \"{by}\") {{ changed message execution {{ id }} }} }}");
            let (answer, envelope) = answered(&scene, &query, done()).await;
            assert_eq!(
                answer.body["data"][name],
                json!({"changed": true, "message": "done", "execution": {"id": "7"}}),
                "{}",
                answer.body
            );
            assert_eq!(envelope.message.kind(), kind);
            assert_eq!(envelope.message.to_data(), json!({"execution": id}));
        }
    }
    let query = "mutation { relaunchExecution(id: 7, dryRun: false, taskArguments: \"{\\\"count\\\": 2}\") { execution { id } } }";
    let (answer, envelope) = answered(&scene, query, accepted(7)).await;
    assert_eq!(
        answer.body["data"]["relaunchExecution"]["execution"]["id"], "7",
        "{}",
        answer.body
    );
    assert_eq!(
        envelope.message.to_data(),
        json!({"execution": id, "arguments": {"count": 2}, "dry_run": false})
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_are_saved_and_deleted_with_the_arguments_of_neops() {
    let scene = scene();
    let done = |number: Option<u64>| {
        WorkResult::CommandApplied(CommandApplied {
            changed: true,
            message: "done".to_owned(),
            number,
            execution: None,
        })
    };
    let query = "mutation { neopsTaskUpsert(name: \"uptime\", uniquetaskname: \"uptime\", description: \"d\", \
                 providerIdentifier: \"ping\", taskKwargs: \"{\\\"count\\\": 3}\", preRunTasks: [\"before\"]) \
                 { changed message neopsTask { id name } } }";
    let (answer, envelope) = answered(&scene, query, done(Some(5))).await;
    assert_eq!(
        answer.body["data"]["neopsTaskUpsert"],
        json!({"changed": true, "message": "done", "neopsTask": {"id": "5", "name": "uptime"}}),
        "{}",
        answer.body
    );
    assert_eq!(envelope.message.kind(), Kind::TaskSaveRequested);
    assert_eq!(
        envelope.message.to_data(),
        json!({"name": "uptime", "description": "d", "provider": "ping", "arguments": {"count": 3}, "pre_tasks": ["before"]})
    );
    let places = rejected(Code::InvalidArguments, "$.data.arguments.count");
    let (answer, _) = answered(&scene, query, places).await;
    assert_eq!(answer.error()["place"], "taskKwargs.count");

    let query = "mutation { neopsTaskDelete(id: \"uptime\") { message } }";
    let (answer, envelope) = answered(&scene, query, done(None)).await;
    assert_eq!(
        answer.body["data"]["neopsTaskDelete"]["message"], "done",
        "{}",
        answer.body
    );
    assert_eq!(envelope.message.to_data(), json!({"name": "uptime"}));
}

#[tokio::test(start_paused = true)]
async fn a_short_longest_wait_bounds_the_default() {
    let limits = ConsoleLimits {
        longest_wait: Duration::from_secs(2),
        ..ConsoleLimits::default()
    };
    let scene = Arc::new(scene_with(limits, true));
    let started = tokio::time::Instant::now();
    let answer = scene
        .graphql("mutation { abortExecution(id: \"00000000-0000-0000-0000-000000000001\") { message } }")
        .await;
    assert_eq!(answer.refused(), (200, "pending"));
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}
