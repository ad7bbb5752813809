//! Commands that cannot be done, from a caller who waits: the caller is told, and no dead letter is left.

use anyhow::{Result, ensure};

use super::Operator;
use crate::system::Ground;

/// Commands with a typing error, and the code of their rejection.
const COMMANDS: [(&str, &str, &str); 3] = [
    (
        "lockstep.device.state-requested",
        r#"{"hostname":"nope","state":"MANAGED"}"#,
        "unknown-device",
    ),
    (
        "lockstep.repository.refresh-requested",
        r#"{"repository":"nope"}"#,
        "unknown-repository",
    ),
    (
        "lockstep.dead-letter.requeue-requested",
        r#"{"dead_letter":4711}"#,
        "unknown-dead-letter",
    ),
];

async fn a_typing_error_is_told_and_leaves_no_dead_letter(ground: Ground) -> Result<()> {
    let operator = Operator::on(ground).await?;
    let output = operator.expect_exit("devices set-state nope MANAGED", 1).await?;
    ensure!(
        output.stderr.contains("unknown-device") && output.stderr.contains("nope"),
        "{output:?}"
    );
    for (kind, data, code) in COMMANDS {
        let publish = format!("publish {kind} --id {code} --source urn:test --wait --data {data}");
        let first = operator.expect_exit(&publish, 1).await?;
        ensure!(first.stderr.contains(code), "{first:?}");
        let again = operator.expect_exit(&publish, 1).await?;
        ensure!(first.stderr == again.stderr, "{first:?} and then {again:?}");

        let show = format!("messages show {code} --source urn:test");
        let shown = operator.expect_exit(&show, 0).await?.stdout;
        ensure!(
            shown.contains("refused, without a dead letter") && shown.contains(code),
            "{shown}"
        );
        let message = &operator.json(&show).await?["messages"][0];
        ensure!(
            message["state"] == "refused" && message["result"]["refused"] == true,
            "{message}"
        );
    }
    let dead = operator.dead().await?;
    ensure!(dead.is_empty(), "{dead:?}");

    // An event is kept, although its sender waits: a fact does not end with its answer.
    let event = r#"publish lockstep.interface.updated --wait --data {"hostname":"nope","kind":"configuration","interfaces":[{"name":"e1"}]}"#;
    operator.expect_exit(event, 1).await?;
    let dead = operator.dead().await?;
    ensure!(dead.len() == 1 && dead[0]["code"] == "unknown-device", "{dead:?}");
    operator.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typing_error_is_told_and_leaves_no_dead_letter_on_servers() -> Result<()> {
    a_typing_error_is_told_and_leaves_no_dead_letter(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typing_error_is_told_and_leaves_no_dead_letter_embedded() -> Result<()> {
    a_typing_error_is_told_and_leaves_no_dead_letter(Ground::Embedded).await
}
