//! Subscriptions: what they tell of an execution by server-sent events, and when they end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures_util::StreamExt;
use lockstep_protocol::ExecutionState;
use lockstep_store::TaskRow;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::super::executions::execution;
use super::super::tasks::task;
use super::super::{Scene, request, scene, scene_with};
use crate::ConsoleLimits;
use crate::fakes::FakeStore;

pub(super) const QUERY: &str = "subscription { execution(id: 7) { id state } }";

fn running(scene: Scene) -> Scene {
    set(&scene.store, 0, ExecutionState::Running);
    scene
}

/// The only execution has this many done elements and this state.
pub(super) fn set(store: &FakeStore, done: u64, state: ExecutionState) {
    let mut row = execution(7, "uptime", state);
    row.counts.done = done;
    *store.executions.lock().unwrap() = vec![row];
}

/// An answer by server-sent events, as far as it has arrived.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    /// The name and the data of the next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                let parsed = field("event:").map(|name| {
                    let data = field("data:").unwrap_or_default();
                    (name.to_owned(), serde_json::from_str(data).unwrap_or(Value::Null))
                });
                self.text = rest.to_owned();
                match parsed {
                    Some(event) => return Some(event),
                    // A comment that keeps the connection.
                    None => continue,
                }
            }
            let part = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// The state in the next event.
    async fn state(&mut self) -> String {
        let (name, data) = self.next().await.expect("an event");
        assert_eq!(name, "next");
        data["data"]["execution"]["state"]
            .as_str()
            .unwrap_or_else(|| panic!("{data}"))
            .to_owned()
    }

    /// The code of the only error of the next event.
    async fn error(&mut self) -> String {
        let (name, data) = self.next().await.expect("an event");
        assert_eq!(name, "next");
        let code = data["errors"][0]["extensions"]["code"].as_str();
        code.unwrap_or_else(|| panic!("{data}")).to_owned()
    }

    async fn completes(&mut self) {
        let (name, _) = self.next().await.expect("an event");
        assert_eq!(name, "complete");
        assert_eq!(self.next().await, None);
    }
}

async fn listen(scene: &Scene, token: &str, query: &str) -> Result<Events, StatusCode> {
    let request = request("POST", "/graphql", token)
        .header("content-type", "application/json")
        .header("accept", "text/event-stream");
    let body = Body::from(json!({"query": query}).to_string());
    let response = scene
        .router
        .clone()
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    if response.status() != 200 {
        return Err(response.status());
    }
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Ok(Events {
        body: response.into_body().into_data_stream(),
        text: String::new(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_subscription_tells_each_change_until_the_execution_ended() {
    let scene = running(scene());
    let mut events = listen(&scene, "all", QUERY).await.unwrap();
    assert_eq!(events.state().await, "RUNNING");
    set(&scene.store, 1, ExecutionState::Running);
    assert_eq!(events.state().await, "RUNNING");
    set(&scene.store, 2, ExecutionState::Successful);
    assert_eq!(events.state().await, "SUCCESSFUL");
    events.completes().await;

    let mut ended = listen(
        &scene,
        "all",
        "subscription { executionSubscription(id: 7) { execution { id } } }",
    )
    .await
    .unwrap();
    let (_, data) = ended.next().await.unwrap();
    assert_eq!(
        data,
        json!({"data": {"executionSubscription": {"execution": {"id": "7"}}}})
    );
    ended.completes().await;
}

/// Each answer has loaders of its own: what changes meanwhile is read again.
#[tokio::test(start_paused = true)]
async fn a_subscription_reads_what_the_fields_of_each_answer_need() {
    let scene = running(scene());
    let number = scene.store.executions.lock().unwrap()[0].request.task_number;
    let set_task = |text: &str| {
        *scene.store.tasks.lock().unwrap() = vec![TaskRow {
            description: Some(text.to_owned()),
            ..task(number, "uptime")
        }];
    };
    set_task("before");
    let query = "subscription { execution(id: 7) { neopsTask { description } } }";
    let mut events = listen(&scene, "all", query).await.unwrap();
    for text in ["before", "after"] {
        let (_, answer) = events.next().await.unwrap();
        assert_eq!(
            answer["data"]["execution"]["neopsTask"],
            json!({"description": text})
        );
        set_task("after");
        set(&scene.store, 1, ExecutionState::Running);
    }
}

#[tokio::test(start_paused = true)]
async fn queries_and_mutations_are_answered_as_events_too() {
    let scene = running(scene());
    let mut events = listen(&scene, "all", "{ execution(id: 7) { id state } }")
        .await
        .unwrap();
    assert_eq!(events.state().await, "RUNNING");
    events.completes().await;
}

/// Who listens late or reads slowly gets what is, and nothing is kept for them.
#[tokio::test(start_paused = true)]
async fn a_slow_listener_misses_what_was_in_between() {
    let scene = running(scene());
    let mut slow = listen(&scene, "all", QUERY).await.unwrap();
    let mut quick = listen(&scene, "all", QUERY).await.unwrap();
    slow.state().await;
    quick.state().await;
    for done in 1..=50 {
        set(&scene.store, done, ExecutionState::Running);
        quick.state().await;
    }
    set(&scene.store, 51, ExecutionState::Failed);
    assert_eq!(quick.state().await, "FAILED");
    let mut seen = 1;
    while slow.state().await != "FAILED" {
        seen += 1;
    }
    assert!(seen <= 2, "{seen}");
    slow.completes().await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_read_once_for_all_who_listen_and_not_when_nobody_does() {
    let scene = running(scene());
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut events = listen(&scene, "all", QUERY).await.unwrap();
        events.state().await;
        all.push(events);
    }
    let reads = || scene.store.execution_reads.load(Ordering::SeqCst);
    assert_eq!(reads(), 20, "one by each subscription");
    // A pending read of the body makes the clock go on.
    let waiting = tokio::time::timeout(Duration::from_mins(1), all[0].next());
    assert!(waiting.await.is_err(), "nothing changed");
    let polled = reads() - 20;
    assert!((10..=20).contains(&polled), "{polled} reads in a minute");
    drop(all);
    let before = reads();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(reads() <= before + 1, "{} reads for nobody", reads() - before);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_survives_the_store_and_ends_with_the_execution() {
    let scene = running(scene());
    let mut events = listen(&scene, "all", QUERY).await.unwrap();
    events.state().await;
    scene.store.unavailable.store(true, Ordering::SeqCst);
    let silent = tokio::time::timeout(Duration::from_secs(30), events.next());
    assert!(silent.await.is_err());
    let mut refused = listen(&scene, "all", QUERY).await.unwrap();
    assert_eq!(refused.error().await, "store-away");
    refused.completes().await;

    scene.store.unavailable.store(false, Ordering::SeqCst);
    set(&scene.store, 1, ExecutionState::Running);
    assert_eq!(events.state().await, "RUNNING");
    scene.store.executions.lock().unwrap().clear();
    assert_eq!(events.error().await, "unknown-execution");
    events.completes().await;
    let mut unknown = listen(&scene, "all", QUERY).await.unwrap();
    assert_eq!(unknown.error().await, "unknown-execution");
    unknown.completes().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_without_rights_hears_nothing() {
    let scene = running(scene());
    let mut events = listen(&scene, "few", QUERY).await.unwrap();
    assert_eq!(events.error().await, "not-allowed");
    events.completes().await;
    assert_eq!(
        listen(&scene, "wrong", QUERY).await.err(),
        Some(StatusCode::UNAUTHORIZED)
    );
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_end_when_the_console_stops() {
    let limits = ConsoleLimits {
        streams: 2,
        ..ConsoleLimits::default()
    };
    let scene = running(scene_with(limits, true));
    let mut first = listen(&scene, "all", QUERY).await.unwrap();
    let second = listen(&scene, "all", QUERY).await.unwrap();
    let third = listen(&scene, "all", QUERY).await;
    assert_eq!(third.err(), Some(StatusCode::TOO_MANY_REQUESTS));
    drop(second);
    let mut third = listen(&scene, "all", QUERY).await.unwrap();
    for events in [&mut first, &mut third] {
        events.state().await;
    }
    scene.stop.cancel();
    for events in [&mut first, &mut third] {
        assert_eq!(
            events.next().await,
            None,
            "without `complete`, so that the client connects again"
        );
    }
}
