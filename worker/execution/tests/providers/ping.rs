use anyhow::Result;
use lockstep_execution::StepFailure;
use lockstep_protocol::ElementState;
use lockstep_simulators::fleet::Behaviour;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::scene::{Scene, asked};

async fn ping(scene: &Scene, device: usize) -> Result<Value, StepFailure> {
    let done = scene
        .run("ping", Some(scene.target(device)), &Value::Null, &Value::Null)
        .await?;
    assert!(!done.changed && done.facts.is_empty());
    assert!(
        done.message
            .is_some_and(|message| message.starts_with("answered in "))
    );
    Ok(done.data)
}

#[tokio::test]
async fn a_device_that_answers_says_what_it_is() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    let data = ping(&scene, 0).await.expect("the device answers");
    assert_eq!(data["model"], "DCS-7050SX3-48YC8");
    assert_eq!(data["version"], "4.30.3M");
    assert_eq!(data["serial_number"], "SIM00000001");
    assert!(
        data["round_trip_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{data}"
    );
    assert_eq!(scene.fleet.commands(0), ["enable", "show version"]);
    Ok(())
}

#[tokio::test]
async fn each_fault_has_its_reason() -> Result<()> {
    let table = [
        (
            Behaviour::RejectsLogin,
            "wrong-credentials",
            "refuses the credentials of the user \"admin\"",
        ),
        (Behaviour::Status(503), "unreadable-answer", "HTTP status 503"),
        (Behaviour::Garbage, "unreadable-answer", "cannot be read"),
        (Behaviour::Truncated, "unreadable-answer", "cannot be read"),
        (Behaviour::LosesAnswer, "connection-lost", "closed the connection"),
        (Behaviour::Healthy, "unreachable", "cannot be reached"),
        (Behaviour::Silent, "timed-out", "it took longer than 1 s"),
    ];
    let scene = Scene::new(&table.map(|(behaviour, ..)| behaviour)).await?;
    scene.fleet.take_down(5).await;
    for (device, (behaviour, reason, message)) in table.into_iter().enumerate() {
        let target = Some(scene.target(device));
        let arguments = json!({"timeout_seconds": if behaviour == Behaviour::Silent { 1 } else { 60 }});
        let failure = scene
            .run("ping", target, &arguments, &Value::Null)
            .await
            .unwrap_err();
        assert_eq!(failure.reason, reason, "{behaviour:?}: {failure:?}");
        assert!(failure.message.contains(message), "{behaviour:?}: {failure:?}");
        assert_eq!((failure.state, failure.changed), (ElementState::Failed, false));
    }
    let mut unknown = scene.target(5);
    unknown.hostname = "unknown".to_owned();
    let failure = scene
        .run("ping", Some(unknown), &Value::Null, &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(failure.reason, "no-credentials");
    let failure = scene
        .run("ping", None, &Value::Null, &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(failure.reason, "no-device");
    Ok(())
}

#[tokio::test]
async fn a_device_that_does_not_answer_is_given_up_when_told_so() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Silent]).await?;
    let cancel = async {
        asked(&scene, 1).await;
        scene.cancel.cancel();
    };
    let (failure, ()) = tokio::join!(ping(&scene, 0), cancel);
    assert_eq!(failure.unwrap_err().reason, "cancelled");
    // The connection, whose state is unknown, is not used again.
    scene.fleet.behave(0, Behaviour::Healthy);
    let connections = scene.fleet.connections(0);
    let again = Scene {
        cancel: CancellationToken::new(),
        ..scene
    };
    ping(&again, 0).await.expect("the device answers");
    assert_eq!(again.fleet.connections(0), connections + 1);
    Ok(())
}
