use anyhow::Result;
use lockstep_device::eapi::EapiOptions;
use lockstep_execution::{StepDone, StepFailure};
use lockstep_protocol::ElementState::{Failed, PartialFailed};
use lockstep_simulators::fleet::Behaviour;
use serde_json::{Value, json};

use crate::scene::{Scene, asked};

async fn command(scene: &Scene, arguments: Value) -> Result<StepDone, StepFailure> {
    scene
        .run("command", Some(scene.target(0)), &arguments, &Value::Null)
        .await
}

/// The command and format of each output.
fn outputs(data: &Value) -> Vec<(&str, &str)> {
    let outputs = data["outputs"].as_array().expect("there is a list of outputs");
    let texts = outputs
        .iter()
        .map(|output| (output["command"].as_str(), output["format"].as_str()));
    texts
        .map(|(command, format)| (command.expect("a text"), format.expect("a text")))
        .collect()
}

#[tokio::test]
async fn outputs_are_kept_whole_in_the_format_that_was_asked_for() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    let commands = [
        "show version",
        "show tech-support",
        "show hostname",
        "show tech-support ",
    ];
    let done = command(&scene, json!({"commands": commands}))
        .await
        .expect("auto");
    let expected = [
        ("show version", "json"),
        ("show tech-support", "text"),
        ("show hostname", "json"),
        ("show tech-support", "text"),
    ];
    assert_eq!(outputs(&done.data), expected);
    assert_eq!(done.data["outputs"][2]["output"]["hostname"], "leaf00001");
    let text = done.data["outputs"][1]["output"].as_str().expect("a text");
    assert!(
        text.starts_with("------------- show version") && text.ends_with("kB\n\n"),
        "{text}"
    );
    assert_eq!(done.message.as_deref(), Some("4 outputs"));
    assert!(!done.changed && done.facts.is_empty());

    let done = command(&scene, json!({"commands": ["show hostname"], "format": "text"}))
        .await
        .expect("text");
    assert_eq!(outputs(&done.data), [("show hostname", "text")]);
    let failure = command(&scene, json!({"commands": commands, "format": "json"}))
        .await
        .unwrap_err();
    assert_eq!((&*failure.reason, failure.state), ("refused", PartialFailed));
    assert_eq!(outputs(&failure.data), [("show version", "json")]);
    Ok(())
}

#[tokio::test]
async fn outputs_become_a_fact() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    let arguments = json!({"commands": ["show hostname", "show tech-support"], "facts_key": "identity"});
    let done = command(&scene, arguments).await.expect("the device answers");
    let [(key, fact)] = &done.facts[..] else {
        panic!("{:?}", done.facts);
    };
    assert_eq!(key, "identity");
    assert_eq!(
        fact["show hostname"],
        json!({"hostname": "leaf00001", "fqdn": "leaf00001"})
    );
    assert!(fact["show tech-support"].is_string(), "{fact}");
    Ok(())
}

#[tokio::test]
async fn a_refused_command_leaves_the_outputs_before_it() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    for format in ["auto", "json", "text"] {
        let commands = ["show version", "show nothing", "show hostname"];
        let arguments = json!({"commands": commands, "format": format, "facts_key": "identity"});
        let failure = command(&scene, arguments).await.unwrap_err();
        assert_eq!((&*failure.reason, failure.state), ("refused", PartialFailed));
        assert!(
            failure.message.starts_with("refuses \"show nothing\""),
            "{}",
            failure.message
        );
        assert_eq!(outputs(&failure.data).len(), 1);
    }
    let failure = command(&scene, json!({"commands": ["show nothing"]}))
        .await
        .unwrap_err();
    assert_eq!((&*failure.reason, failure.state), ("refused", Failed));
    assert_eq!(failure.data, json!({"outputs": []}));
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_is_left_out_and_named() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Floods(100_000)]).await?;
    let commands = ["show version", "show hostname", "show tech-support"];
    let arguments = json!({"commands": commands, "format": "text", "max_output_bytes": 150_000});
    let failure = command(&scene, arguments).await.unwrap_err();
    assert_eq!((&*failure.reason, failure.state), ("too-large", PartialFailed));
    assert!(
        failure.message.contains("2 outputs do not fit into 150000 bytes"),
        "{}",
        failure.message
    );
    assert_eq!(outputs(&failure.data), [("show version", "text")]);
    let left_out = failure.data["left_out"].as_array().expect("a list");
    assert_eq!(left_out[1]["command"], "show tech-support");
    assert!(left_out[1]["bytes"].as_u64().is_some_and(|bytes| bytes > 100_000));

    // Five megabytes are more than the default.
    scene.fleet.behave(0, Behaviour::Floods(5 << 20));
    let arguments = json!({"commands": ["show hostname"], "format": "text"});
    let failure = command(&scene, arguments).await.unwrap_err();
    assert_eq!((&*failure.reason, failure.state), ("too-large", Failed));

    // More than the driver reads at all.
    let options = EapiOptions {
        max_answer: 10_000,
        ..EapiOptions::default()
    };
    let scene = Scene::with(&[Behaviour::Floods(100_000)], options).await?;
    let arguments = json!({"commands": ["show version", "show tech-support"]});
    let failure = command(&scene, arguments).await.unwrap_err();
    assert_eq!((&*failure.reason, failure.state), ("too-large", PartialFailed));
    assert_eq!(outputs(&failure.data), [("show version", "json")]);
    Ok(())
}

#[tokio::test]
async fn each_fault_has_its_reason() -> Result<()> {
    let table = [
        (Behaviour::RejectsLogin, "wrong-credentials"),
        (Behaviour::Garbage, "unreadable-answer"),
        (Behaviour::LosesAnswer, "connection-lost"),
    ];
    for (behaviour, reason) in table {
        let scene = Scene::new(&[behaviour]).await?;
        let failure = command(&scene, json!({"commands": ["show version"]}))
            .await
            .unwrap_err();
        assert_eq!(
            (&*failure.reason, failure.state),
            (reason, Failed),
            "{behaviour:?}"
        );
    }
    let scene = Scene::new(&[Behaviour::Healthy]).await?;
    scene.fleet.take_down(0).await;
    let failure = command(&scene, json!({"commands": ["show version"]}))
        .await
        .unwrap_err();
    assert_eq!(failure.reason, "unreachable");
    Ok(())
}

#[tokio::test]
async fn a_slow_device_is_given_up_after_the_timeout_and_when_told_so() -> Result<()> {
    let scene = Scene::new(&[Behaviour::Silent]).await?;
    let arguments = json!({"commands": ["show version"]});
    let limits = json!({"timeout_seconds": 1});
    let failure = scene
        .run("command", Some(scene.target(0)), &arguments, &limits)
        .await
        .unwrap_err();
    assert_eq!(failure.reason, "timed-out");

    let cancel = async {
        asked(&scene, 2).await;
        scene.cancel.cancel();
    };
    let (failure, ()) = tokio::join!(command(&scene, arguments), cancel);
    assert_eq!(failure.unwrap_err().reason, "cancelled");
    Ok(())
}
