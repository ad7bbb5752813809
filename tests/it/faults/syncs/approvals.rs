//! Plans are approved by somebody else: with two tokens of a console, a broker user that is one of the two persons, and workers that all
//! enforce it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::{ExecutionApproveRequested, SyncRequested};
use lockstep_testbed::{free_port, wait};
use serde_json::{Value, json};

use super::site::Site;
use crate::system::{Ground, PATIENCE, Process, Scene};

/// The names of tokens. Each secret is made from the name.
const TOKENS: [&str; 2] = ["anna", "berta"];

fn secret(name: &str) -> String {
    format!("the-token-of-{name}")
}

/// The console, with a token for each of [`TOKENS`], and its URL.
fn console(scene: &Scene) -> Result<(Process, String)> {
    let listen = format!("127.0.0.1:{}", free_port()?);
    let mut environment = vec![("LOCKSTEP__CONSOLE__LISTEN".to_owned(), listen.clone())];
    for (index, name) in TOKENS.iter().enumerate() {
        let key = |key: &str| format!("LOCKSTEP__CONSOLE__TOKENS__{index}__{key}");
        environment.push((key("NAME"), (*name).to_owned()));
        environment.push((key("TOKEN"), secret(name)));
        environment.push((key("TYPES"), "*".to_owned()));
    }
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let process = scene.run(&["console"], &environment)?;
    Ok((process, format!("http://{listen}")))
}

/// Runs a command as the holder of a token. Returns whether it succeeded, and its output.
async fn run(scene: &Scene, url: &str, name: &str, line: &str) -> Result<(bool, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command.args(line.split(' ')).current_dir(scene.folder());
    command.envs([("LOCKSTEP_URL", url), ("LOCKSTEP_TOKEN", &secret(name))]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((output.status.success(), text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_one_person_is_applied_after_another_one_approved_it() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 2, Duration::ZERO).await?;
    let bus = site.scene.bus().await?;
    let user = bus.user().to_owned();
    bus.close().await;
    let required = [
        ("LOCKSTEP__SYNC__APPROVAL", "required"),
        ("LOCKSTEP__BROKER__PERSONS__0__PERSON", "anna"),
        ("LOCKSTEP__BROKER__PERSONS__0__NAMES", &user),
    ];
    let (first, second) = site.two_workers_with(&required).await?;
    let (console, url) = console(&site.scene)?;
    let run = async |name: &str, line: &str| run(&site.scene, &url, name, line).await;
    wait::until("the console to answer", PATIENCE, async || {
        match run("anna", "devices list").await {
            Ok((true, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    let refused = async |name: &str, line: &str, expected: &str| -> Result<()> {
        let (done, text) = run(name, line).await?;
        ensure!(!done && text.contains(expected), "{name}: {line}: {text}");
        Ok(())
    };
    let succeeds = async |name: &str, line: &str| -> Result<String> {
        let (done, text) = run(name, line).await?;
        ensure!(done, "{name}: {line}: {text}");
        Ok(text)
    };

    succeeds("anna", "sync plan --all --wait").await?;
    refused("anna", "sync apply 1 --yes --wait", "not-approved").await?;
    refused("anna", "sync approve 1", "self-approval").await?;
    refused("anna", "sync apply --all --yes", "plan-required").await?;

    // The broker user is anna, too, and workers enforce all of it for commands from the broker.
    let execution: Value = serde_json::from_str(&succeeds("anna", "executions show 1 --json").await?)?;
    let plan: uuid::Uuid = execution["id"].as_str().context("an id")?.parse()?;
    let approve = ExecutionApproveRequested {
        execution: plan,
        note: None,
    };
    let rejection = site.rejection(&site.publish(approve).await?).await?;
    ensure!(
        rejection["code"] == "self-approval" && rejection["place"] == "$.data.execution",
        "{rejection}"
    );
    let apply: SyncRequested = serde_json::from_value(json!({"plan": plan, "dry_run": false}))?;
    let rejection = site.rejection(&site.publish(apply).await?).await?;
    ensure!(rejection["code"] == "not-approved", "{rejection}");

    succeeds("berta", "sync approve 1 --note CHG-1234").await?;
    refused("berta", "sync apply 1 --yes --wait", "not-approved").await?;
    let shown = succeeds("berta", "sync show 1").await?;
    ensure!(
        shown.contains("approved    by berta at ") && shown.contains(": CHG-1234"),
        "{shown}"
    );
    for device in 0..2 {
        ensure!(site.fleet.totals(device).commits == 0, "device {device}");
    }
    succeeds("anna", "sync apply 1 --yes --wait").await?;
    site.check_devices(10).await?;
    ensure!(site.is_synchronized(0).await? && site.is_synchronized(1).await?);

    // The way back is planned by anna, and berta has to approve it, too.
    succeeds("anna", "sync rollback 2 --wait").await?;
    refused("anna", "sync apply 3 --yes --wait", "not-approved").await?;
    succeeds("berta", "sync approve 3").await?;
    succeeds("berta", "sync approve 3 --withdraw").await?;
    refused("anna", "sync apply 3 --yes --wait", "not-approved").await?;
    console.stop().await?;
    first.stop().await?;
    second.stop().await
}
