use std::time::{Duration, Instant};

use anyhow::Result;
use lockstep_simulators::cvp::{CvpSimulator, Endpoint, Fault, Injection, Scenario, TaskStatus};
use lockstep_testbed::wait;
use serde_json::json;

use crate::client::{Client, EMPTY, FULL, PATIENCE, PENDING, start};

/// Long enough to be measured, short enough for a test.
const DELAY: Duration = Duration::from_millis(200);

async fn seed() -> Result<(CvpSimulator, Client)> {
    let simulator = start(Scenario::seed()).await?;
    let client = Client::logged_in(&simulator).await?;
    Ok((simulator, client))
}

#[tokio::test]
async fn refusals_answer_and_do_nothing() -> Result<()> {
    let (simulator, client) = seed().await?;
    let code = Fault::ErrorCode("132801".to_owned(), "Entity does not exist".to_owned());
    let table = [
        (Fault::Status(401), 401, "401"),
        (Fault::Status(403), 403, "403"),
        (Fault::Status(404), 404, "404"),
        (Fault::Status(500), 500, "500"),
        (Fault::Status(503), 503, "503"),
        (Fault::RateLimited(Some(7)), 429, "Too Many"),
        (Fault::Html, 200, "<html>"),
        (
            code,
            200,
            "{\"errorCode\":\"132801\",\"errorMessage\":\"Entity does not exist\"}",
        ),
        (
            Fault::NestedErrorCode,
            200,
            "{\"data\":{\"inner\":[{\"errorCode\":\"132801\"}]}}",
        ),
        (Fault::LoggedOut, 200, "LOG OUT MESSAGE"),
        (Fault::Redirect, 302, "Found"),
    ];
    for (fault, status, text) in table {
        simulator.inject(Injection::new(Endpoint::Cancel, fault.clone()).times(1));
        let body = json!({"data": ["1811"]});
        let reply = client.post(crate::client::CANCEL, body).await?;
        assert_eq!(reply.status, status, "{fault:?}");
        assert!(reply.text.contains(text), "{fault:?}: {}", reply.text);
        if let Fault::RateLimited(_) = fault {
            assert_eq!(reply.header("retry-after"), ["7"]);
        }
    }
    simulator.inject(Injection::new(Endpoint::ChangeControls, Fault::Status(403)).times(1));
    let reply = client.get(crate::client::CHANGE_CONTROLS).await?;
    assert_eq!(
        (reply.status, reply.text.as_str()),
        (403, "{\"code\":7,\"message\":\"simulated\"}")
    );
    assert!(simulator.cancelled().is_empty());
    client.cancel("1811").await?;
    assert_eq!(simulator.cancelled(), ["1811"]);
    Ok(())
}

#[tokio::test]
async fn responses_are_truncated_emptied_and_lost_after_the_execution() -> Result<()> {
    let (simulator, client) = seed().await?;
    simulator.inject(Injection::new(Endpoint::Cancel, Fault::Truncated).about("1811"));
    simulator.inject(Injection::new(Endpoint::Cancel, Fault::Empty).about("1810"));
    simulator.inject(Injection::new(Endpoint::Cancel, Fault::LoseAnswer).about("1809"));
    let cancel = async |task: &str| client.post(crate::client::CANCEL, json!({"data": [task]})).await;
    let cut = cancel("1811").await?;
    assert_eq!(cut.status, 200);
    assert!(cut.text.starts_with("{\"data\":\"Task") && cut.json().is_err());
    let empty = cancel("1810").await?;
    assert_eq!((empty.status, empty.text.as_str()), (200, ""));
    assert!(cancel("1809").await.is_err());
    assert_eq!(simulator.cancelled(), ["1811", "1810", "1809"]);
    assert_eq!(
        simulator.requests().last().map(|request| request.status),
        Some(None)
    );
    Ok(())
}

#[tokio::test]
async fn a_dropped_request_is_not_done() -> Result<()> {
    let (simulator, client) = seed().await?;
    simulator.inject(Injection::new(Endpoint::Cancel, Fault::Drop));
    assert!(client.cancel("1811").await.is_err());
    assert_eq!(simulator.task_status("1811"), Some(TaskStatus::Pending));
    simulator.heal();
    client.cancel("1811").await?;
    assert_eq!(simulator.task_status("1811"), Some(TaskStatus::Cancelled));
    Ok(())
}

#[tokio::test]
async fn a_hanging_request_waits_for_its_client_to_give_up() -> Result<()> {
    let (simulator, client) = seed().await?;
    simulator.inject(
        Injection::new(Endpoint::Compliance, Fault::Hang)
            .about(EMPTY)
            .times(1),
    );
    let hanging = tokio::time::timeout(DELAY, client.check(EMPTY)).await;
    assert!(hanging.is_err(), "{hanging:?}");
    // Other requests are answered meanwhile, and this endpoint afterwards.
    assert_eq!(client.check(FULL).await?["complianceCode"], "0001");
    assert_eq!(client.check(EMPTY).await?["complianceCode"], "0000");
    Ok(())
}

#[tokio::test]
async fn requests_and_answers_are_delayed() -> Result<()> {
    let (simulator, client) = seed().await?;
    let timed = async |client: &Client| {
        let begin = Instant::now();
        client.check(EMPTY).await.map(|_| begin.elapsed())
    };
    simulator.inject(Injection::everywhere(Fault::Delay(DELAY)).times(1));
    assert!(timed(&client).await? >= DELAY);
    simulator.tune(|knobs| knobs.latency = DELAY);
    assert!(timed(&client).await? >= DELAY);
    simulator.tune(|knobs| knobs.latency = Duration::ZERO);

    // Executed at once, answered later: a client that does not wait cannot know.
    let late = Fault::DelayAnswer(PATIENCE);
    simulator.inject(Injection::new(Endpoint::Cancel, late));
    assert!(tokio::time::timeout(DELAY, client.cancel("1811")).await.is_err());
    assert_eq!(simulator.cancelled(), ["1811"]);
    Ok(())
}

#[tokio::test]
async fn a_fault_spares_the_first_and_ends_after_its_number() -> Result<()> {
    let (simulator, client) = seed().await?;
    simulator.inject(
        Injection::new(Endpoint::Tasks, Fault::Status(503))
            .after(1)
            .times(2),
    );
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.get(PENDING).await?.status);
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
    Ok(())
}

#[tokio::test]
async fn requests_under_way_are_counted_and_given_up_ones_are_not() -> Result<()> {
    let (simulator, client) = seed().await?;
    simulator.inject(Injection::new(Endpoint::Compliance, Fault::Hang));
    let mut hanging = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let client = client.clone();
        hanging.spawn(async move { client.check(EMPTY).await });
    }
    wait::until("five requests at once", PATIENCE, async || {
        match simulator.peak_concurrency() {
            5 => Ok(()),
            peak => Err(peak.to_string()),
        }
    })
    .await?;
    hanging.shutdown().await;
    wait::until("the five to be gone", PATIENCE, async || {
        simulator.forget_requests();
        match simulator.peak_concurrency() {
            0 => Ok(()),
            peak => Err(peak.to_string()),
        }
    })
    .await?;
    client.get(PENDING).await?;
    assert_eq!((simulator.peak_concurrency(), simulator.requests().len()), (1, 1));
    Ok(())
}
