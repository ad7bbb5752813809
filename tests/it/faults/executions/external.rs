//! Programs as providers, on workers that are killed or that do not have the program.

use std::path::Path;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::TaskSaveRequested;
use lockstep_testbed::wait;
use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::json;

use super::Installation;
use crate::system::{Ground, PATIENCE, Scene};

/// A program that hangs in its first attempt, and is done in the next one.
const SCRIPT: &str = r#"name=$1; shift
[ "$1" = describe ] && exec cat "FOLDER/$name.json"
read -r begin; echo '{"type":"ready","protocol":1}'; read -r step
case "$begin" in *'"attempt":1,'*) setsid sleep 1000 & echo "$$ $!" >"FOLDER/$name.begun"; wait;; esac
echo '{"type":"done","id":1,"message":"after all"}'
read -r end; exit 0
"#;

/// Writes the program, and its description under this name. Returns the configuration.
fn provider(folder: &Path, name: &str, repeatable: bool) -> Result<Vec<(String, String)>> {
    let script = folder.join("program.sh");
    std::fs::write(&script, SCRIPT.replace("FOLDER", &folder.display().to_string()))?;
    let description = folder.join(format!("{name}.json"));
    let text = json!({
        "protocol": 1, "name": name, "short_description": "Hangs once.", "provider_type": "EXECUTE", "run_on": "DEVICE",
        "steps": ["run_on_device"], "repeatable": repeatable,
    });
    std::fs::write(&description, text.to_string())?;
    let key = |key: &str| format!("LOCKSTEP__PROVIDERS__{}__{key}", name.to_uppercase());
    let command = format!("/bin/sh,{},{name}", script.display());
    Ok(vec![
        (key("COMMAND"), command),
        (key("DESCRIPTION"), description.display().to_string()),
    ])
}

impl Installation {
    /// Adds an external provider to all workers, and saves a task with it, of the same name.
    async fn add_external(&mut self, name: &str, repeatable: bool) -> Result<()> {
        let folder = self.scene.folder().to_owned();
        self.environment.extend(provider(&folder, name, repeatable)?);
        let preparing = self.accepting()?;
        self.publish(TaskSaveRequested {
            name: name.to_owned(),
            description: None,
            provider: name.to_owned(),
            arguments: json!({}),
            pre_tasks: Vec::new(),
            post_tasks: Vec::new(),
            run_input_json_schema: None,
            run_input_ui_schema: None,
        })
        .await?;
        let client = self.scene.servers()?.schema.connect().await?;
        wait::until("the task to be saved", PATIENCE, async || {
            let rows = client.query("SELECT 1 FROM task WHERE name = $1", &[&name]).await;
            match rows.map_err(|error| error.to_string())?.len() {
                1 => Ok(()),
                count => Err(format!("{count} tasks")),
            }
        })
        .await?;
        preparing.stop().await
    }

    /// The processes that a program of the first attempt started, when they run.
    async fn begun(&self, name: &str) -> Result<Vec<Pid>> {
        let path = self.scene.folder().join(format!("{name}.begun"));
        let begun = wait::until("the program to begin", PATIENCE, async || {
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let ids = text
                .split_ascii_whitespace()
                .map(|id| id.parse().ok().and_then(Pid::from_raw));
            let ids: Vec<Pid> = ids.collect::<Option<_>>().ok_or_else(|| text.clone())?;
            if text.ends_with('\n') { Ok(ids) } else { Err(text) }
        })
        .await;
        Ok(begun?)
    }
}

async fn all_gone(processes: &[Pid]) -> Result<()> {
    let gone = wait::until("the programs to be gone", PATIENCE, async || {
        let left: Vec<&Pid> = processes
            .iter()
            .filter(|process| test_kill_process(**process).is_ok())
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    Ok(gone?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_ends_with_its_worker_and_only_a_repeatable_one_runs_again() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let mut installation = Installation::new(scene, 2, std::time::Duration::ZERO, None).await?;
    installation.add_external("again", true).await?;
    installation.add_external("once", false).await?;
    let killed = installation.worker()?;
    killed
        .prints_times("this worker runs an external provider", 2)
        .await?;
    installation.run_task("again", 0..1).await?;
    installation.run_task("once", 1..2).await?;
    let mut processes = installation.begun("again").await?;
    processes.extend(installation.begun("once").await?);
    ensure!(processes.len() == 4, "{processes:?}");
    killed.signal(Signal::KILL)?;
    all_gone(&processes).await?;
    let next = installation.worker()?;
    let oracle = installation.oracle().await?;
    oracle.all_ended(2).await?;
    let elements = oracle.elements().await?;
    let ends: Vec<(&str, i32, Option<&str>)> = elements
        .iter()
        .map(|element| {
            (
                element.state.as_str(),
                element.attempts,
                element.reason.as_deref(),
            )
        })
        .collect();
    ensure!(
        ends == [("SUCCESSFUL", 2, None), ("FAILED", 1, Some("interrupted"))],
        "{ends:?}"
    );
    next.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_program_says_so_and_leaves_its_elements_to_others() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let mut installation = Installation::new(scene, 1, std::time::Duration::ZERO, None).await?;
    installation.add_external("far", true).await?;
    let without = installation.worker_with(&[("LOCKSTEP__PROVIDERS__FAR__COMMAND", "/nowhere/program")])?;
    without.prints("/nowhere/program cannot be executed").await?;
    installation.run_task("far", 0..1).await?;
    without
        .prints("this worker does not run the provider of an element")
        .await?;
    let oracle = installation.oracle().await?;
    let elements = oracle.elements().await?;
    ensure!(
        elements.iter().all(|element| element.attempts == 0),
        "{} elements",
        elements.len()
    );
    without.stop().await?;
    let with = installation.worker()?;
    let begun = installation.begun("far").await?;
    ensure!(begun.len() == 2, "{begun:?}");
    with.stop().await?;
    all_gone(&begun).await
}
