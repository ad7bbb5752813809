//! RabbitMQ, PostgreSQL, a console and two workers as separate processes, used as described in the README.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{Mode, free_port, wait};
use serde_json::Value;

use crate::system::{Ground, PATIENCE, Process, Scene};

const FLEET: &str = "- {hostname: sw1, device_type: ACCESS, platform: eos, synchronized: true}
- {hostname: sw2, device_type: ACCESS, platform: eos, synchronized: true}
";

/// An operator at a terminal, with an address and a token.
struct Operator {
    scene: Scene,
    url: String,
}

impl Operator {
    /// Runs a command of the README.
    async fn types(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.args(arguments).current_dir(self.scene.folder());
        command
            .env("LOCKSTEP_URL", &self.url)
            .env("LOCKSTEP_TOKEN", "a-token-of-alice");
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// Runs a command that must succeed, and returns its output.
    async fn gets(&self, arguments: &[&str]) -> Result<String> {
        let output = self.types(arguments).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// A console and workers on servers, with a fleet.
async fn installation(workers: usize) -> Result<(Operator, Process, Vec<Process>)> {
    let scene = Scene::new(Ground::Servers).await?;
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let console = scene.run(
        &["console"],
        &[
            ("LOCKSTEP__CONSOLE__LISTEN", &listen),
            ("LOCKSTEP__CONSOLE__TOKENS__0__NAME", "alice"),
            ("LOCKSTEP__CONSOLE__TOKENS__0__TOKEN", "a-token-of-alice"),
            ("LOCKSTEP__CONSOLE__TOKENS__0__TYPES", "*"),
        ],
    )?;
    let workers = (0..workers).map(|_| scene.worker(&[])).collect::<Result<_>>()?;
    let operator = Operator {
        scene,
        url: format!("http://{listen}"),
    };
    std::fs::write(operator.scene.folder().join("fleet.yml"), FLEET)?;
    wait::until("the console to answer", PATIENCE, async || {
        let output = operator
            .types(&["devices", "list"])
            .await
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    })
    .await?;
    operator.gets(&["devices", "import", "fleet.yml"]).await?;
    Ok((operator, console, workers))
}

const EVENT: &str = "lockstep.interface.updated";
const DATA: &str = r#"{"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn console_and_two_workers_on_servers_do_what_the_readme_says() -> Result<()> {
    let (operator, console, workers) = installation(2).await?;
    let (event, data) = (EVENT, DATA);
    let printed = operator
        .gets(&["publish", event, "--data", data, "--wait"])
        .await?;
    ensure!(printed.contains("1 sync flag changed"), "{printed}");

    let devices: Vec<Value> = serde_json::from_str(&operator.gets(&["devices", "list", "--json"]).await?)?;
    let flags: Vec<(&str, bool)> = devices
        .iter()
        .map(|device| Some((device["hostname"].as_str()?, device["synchronized"].as_bool()?)))
        .collect::<Option<_>>()
        .context("a device without name or flag")?;
    ensure!(flags == [("sw1", false), ("sw2", true)], "{flags:?}");
    let cause = &devices[0]["causes"][0];
    ensure!(
        cause["cause"] == "interface_updated" && cause["by"] == "alice",
        "{cause}"
    );

    operator
        .gets(&[
            "devices",
            "set-state",
            "sw2",
            "UNMANAGED",
            "--note",
            "in the workshop",
        ])
        .await?;
    let shown = operator.gets(&["devices", "show", "sw2"]).await?;
    ensure!(
        shown.contains("UNMANAGED") && shown.contains("in the workshop"),
        "{shown}"
    );

    let typo = operator
        .types(&["publish", event, "--data", &data.replace("sw1", "sw9"), "--wait"])
        .await?;
    let errors = String::from_utf8_lossy(&typo.stderr).into_owned();
    ensure!(typo.status.code() == Some(1), "{errors}");
    ensure!(
        errors.contains("unknown-device at $.data.hostname") && errors.contains("sw9"),
        "{errors}"
    );

    for worker in workers {
        worker.stop().await?;
    }
    console.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_is_that_of_the_message_or_unknown() -> Result<()> {
    let (operator, console, workers) = installation(1).await?;
    let (event, data) = (EVENT, DATA);
    // Another message under the same id: its own outcome, not that of the first.
    let again = ["publish", event, "--id", "zz1", "--wait", "--data"];
    operator.gets(&[&again[..], &[data]].concat()).await?;
    let other = data.replace("sw1", "sw2");
    let reused = operator.types(&[&again[..], &[&other]].concat()).await?;
    let errors = String::from_utf8_lossy(&reused.stderr).into_owned();
    ensure!(
        reused.status.code() == Some(1) && errors.contains("id-reused"),
        "{errors}"
    );
    operator.gets(&[&again[..], &[data]].concat()).await?;

    for worker in workers {
        worker.stop().await?;
    }
    // Accepted, and no worker processes it, or the console cannot read what became of it: that is no failure.
    let late = ["publish", event, "--id", "late", "--data", data, "--wait", "1"];
    let to_database = &operator.scene.servers()?.to_database;
    for mode in [Mode::Pass, Mode::Refuse] {
        to_database.set(mode).await?;
        let unknown = operator.types(&late).await?;
        let errors = String::from_utf8_lossy(&unknown.stderr).into_owned();
        ensure!(unknown.status.code() == Some(75), "{} {errors}", unknown.status);
        ensure!(
            errors.contains("accepted as late") && errors.contains("do not send it as a new message"),
            "{errors}"
        );
    }
    to_database.set(Mode::Pass).await?;
    let show = ["messages", "show", "late"];
    let none = operator.types(&show).await?;
    ensure!(
        none.status.code() == Some(1),
        "{}",
        String::from_utf8_lossy(&none.stderr)
    );
    let worker = operator.scene.worker(&[])?;
    let again = [&late[..7], &["60"]].concat();
    let printed = operator.gets(&again).await?;
    ensure!(printed.contains("applied"), "{printed}");
    let shown = operator.gets(&show).await?;
    ensure!(
        shown.contains("state       applied") && shown.contains("by          alice"),
        "{shown}"
    );
    worker.stop().await?;
    console.stop().await
}
