use std::time::{Duration, Instant};

use lockstep_cvp::client::Priority;
use lockstep_cvp::{ComplianceCode, CvpError};
use lockstep_simulators::cvp::{Endpoint, Fault, Injection, Scenario};

use crate::scene::{Scene, id, live};

const MAC: &str = "44:4c:a8:00:00:00";

#[tokio::test]
async fn an_idempotent_request_is_retried_after_faults_but_not_after_a_rejection() {
    let table = [
        (Fault::Status(500), 4),
        (Fault::Status(503), 4),
        (Fault::Html, 4),
        (Fault::Truncated, 4),
        (Fault::Empty, 4),
        (Fault::Drop, 4),
        (Fault::LoseAnswer, 4),
        (Fault::RateLimited(None), 4),
        (Fault::Status(403), 1),
        (Fault::Status(404), 1),
        (Fault::NestedErrorCode, 1),
        (
            Fault::ErrorCode("122801".to_owned(), "net element does not exist".to_owned()),
            1,
        ),
    ];
    for (fault, sends) in table {
        let scene = Scene::new(Scenario::many(1, 100)).await;
        scene
            .simulator
            .inject(Injection::new(Endpoint::Compliance, fault.clone()));
        let error = scene.client.compliance(MAC, Priority::Normal).await.unwrap_err();
        let answered = scene.simulator.count(Endpoint::Compliance);
        assert_eq!(answered, sends, "{fault:?}: {error}");
        // A fault that disappears does not reach the caller.
        scene.simulator.heal();
        scene
            .simulator
            .inject(Injection::new(Endpoint::Compliance, fault.clone()).times(2));
        let healed = scene.client.compliance(MAC, Priority::Normal).await;
        assert_eq!(healed.is_ok(), sends > 1, "{fault:?}: {healed:?}");
        if let Ok(compliance) = healed {
            assert_eq!(compliance.code.get(), Some(&ComplianceCode::InSync));
        }
    }
}

#[tokio::test]
async fn no_request_is_sent_before_the_wait_that_the_server_asks_for() {
    let scene = Scene::new(Scenario::many(4, 100)).await;
    scene.client.tasks("Pending", 0, 10).await.unwrap();
    scene
        .simulator
        .inject(Injection::new(Endpoint::Task, Fault::RateLimited(Some(1))).times(1));
    let begin = Instant::now();
    scene.client.task(&id("1000")).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());

    scene
        .simulator
        .inject(Injection::new(Endpoint::Task, Fault::RateLimited(Some(3600))).times(1));
    let error = scene.client.task(&id("1000")).await.unwrap_err();
    assert!(
        matches!(error, CvpError::Throttled { .. }),
        "longer than the deadline: {error}"
    );
}

#[tokio::test]
async fn an_absurd_wait_ends_the_request_and_holds_no_other_back() {
    let scene = Scene::new(Scenario::many(4, 100)).await;
    for wait in [u64::MAX, u64::MAX / 1000, i64::MAX.unsigned_abs()] {
        scene
            .simulator
            .inject(Injection::new(Endpoint::Task, Fault::RateLimited(Some(wait))).times(1));
        let error = scene.client.task(&id("1000")).await.unwrap_err();
        assert!(matches!(error, CvpError::Throttled { .. }), "{error}");
        assert!(scene.client.task(&id("1000")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn errors_and_answers_of_any_length_are_bounded() {
    let scene = Scene::new(Scenario::many(1, 100)).await;
    let long = "9".repeat(100_000);
    for (endpoint, fault) in [
        (Endpoint::Compliance, Fault::ErrorCode(long.clone(), long.clone())),
        (Endpoint::Login, Fault::ErrorCode(long.clone(), long)),
    ] {
        scene.simulator.inject(Injection::new(endpoint, fault));
        scene.simulator.expire_sessions();
        let error = scene.client.compliance(MAC, Priority::Normal).await.unwrap_err();
        assert!(error.to_string().len() < 500, "{}", error.to_string().len());
        scene.simulator.heal();
    }
    let scene = Scene::new(Scenario::many(1, 100)).await;
    let huge = Fault::ErrorCode("1".to_owned(), "9".repeat(5 << 20));
    scene.simulator.inject(Injection::new(Endpoint::Compliance, huge));
    let error = scene.client.compliance(MAC, Priority::Normal).await.unwrap_err();
    assert!(error.to_string().contains("longer than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn a_cancel_is_repeated_only_if_it_certainly_had_no_effect() {
    let table = [
        (Fault::Delay(Duration::from_secs(30)), 1, true),
        (Fault::DelayAnswer(Duration::from_secs(30)), 1, true),
        (Fault::Drop, 1, true),
        (Fault::LoseAnswer, 1, true),
        (Fault::Status(500), 1, true),
        (Fault::Status(503), 1, true),
        (Fault::Status(403), 1, false),
        (Fault::NestedErrorCode, 1, false),
        (Fault::RateLimited(None), 4, false),
        (Fault::LoggedOut, 3, false),
    ];
    for (fault, sends, may) in table {
        let scene = Scene::with(Scenario::many(1, 100), 1, |options| {
            options.timeout = Duration::from_millis(300);
        })
        .await;
        scene
            .simulator
            .inject(Injection::new(Endpoint::Cancel, fault.clone()));
        let error = scene.client.cancel(&id("1000")).await.unwrap_err();
        assert_eq!(
            scene.simulator.count(Endpoint::Cancel),
            sends,
            "{fault:?}: {error}"
        );
        assert_eq!(error.may_have_taken_effect(), may, "{fault:?}: {error:?}");
    }
}

#[tokio::test]
async fn numeric_ids_nulls_and_both_kinds_of_page_ends_are_read() {
    for (numbers, nulls, inclusive) in [(true, false, false), (false, true, true), (true, true, true)] {
        let scenario = Scenario::many(25, 40).tuned(|knobs| {
            knobs.ids_as_numbers = numbers;
            knobs.nulls = nulls;
            knobs.end_index_inclusive = inclusive;
            knobs.zeros_left_out = nulls;
        });
        let scene = Scene::new(scenario).await;
        let mut options = live();
        options.page = 7;
        let (summary, outcomes) = scene.sweep(options).await;
        let summary = summary.unwrap();
        assert_eq!(
            (summary.listed, summary.cancelled),
            (25, 10),
            "{numbers} {nulls} {inclusive} {:?}",
            outcomes.0
        );
    }
}

#[tokio::test]
async fn after_a_fault_in_the_answer_to_a_cancel_the_task_is_read() {
    let table = [
        (Fault::LoseAnswer, "cancelled", 1),
        (Fault::DelayAnswer(Duration::from_secs(30)), "cancelled", 1),
        (Fault::Truncated, "cancelled", 1),
        (Fault::Empty, "cancelled", 1),
        (Fault::Drop, "cancelled", 2),
        (Fault::Hang, "cancelled", 2),
        (Fault::Status(503), "cancelled", 2),
        (Fault::Html, "cancelled", 2),
        (
            Fault::ErrorCode("1".to_owned(), "no".to_owned()),
            "failed: cancel-refused",
            1,
        ),
        (Fault::Status(403), "failed: cancel-refused", 1),
    ];
    for (fault, expected, sends) in table {
        let scene = Scene::with(Scenario::many(1, 100), 1, |options| {
            options.timeout = Duration::from_millis(300);
        })
        .await;
        scene
            .simulator
            .inject(Injection::new(Endpoint::Cancel, fault.clone()).times(1));
        let (_, outcomes) = scene.sweep(live()).await;
        let seen = (outcomes.of("1000"), scene.simulator.count(Endpoint::Cancel));
        assert_eq!(seen, (expected.to_owned(), sends), "{fault:?}");
    }
}
