//! Dead letters on the command line: listed, shown, requeued, dropped.

mod reading;
mod refused;
mod settling;

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{free_port, wait};
use serde_json::Value;

use crate::system::{Ground, PATIENCE, Process, Scene};

const TOKEN: &str = "a-token-of-alice";

/// An operator at a terminal, and the processes of a running system.
struct Operator {
    scene: Scene,
    environment: Vec<(String, String)>,
    processes: Vec<Process>,
}

/// The output of a command.
#[derive(Debug)]
struct CommandOutput {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Operator {
    /// Starts the processes of a scene and waits until the console answers.
    async fn in_the(scene: Scene, ground: Ground) -> Result<Self> {
        let mut operator = Self {
            scene,
            environment: Vec::new(),
            processes: Vec::new(),
        };
        if ground == Ground::Servers {
            let listen = format!("127.0.0.1:{}", free_port()?);
            let console = operator.scene.run(
                &["console"],
                &[
                    ("LOCKSTEP__CONSOLE__LISTEN", &listen),
                    ("LOCKSTEP__CONSOLE__TOKENS__0__NAME", "alice"),
                    ("LOCKSTEP__CONSOLE__TOKENS__0__TOKEN", TOKEN),
                    ("LOCKSTEP__CONSOLE__TOKENS__0__TYPES", "*"),
                ],
            )?;
            operator.processes.push(console);
            operator.environment = vec![
                ("LOCKSTEP_URL".to_owned(), format!("http://{listen}")),
                ("LOCKSTEP_TOKEN".to_owned(), TOKEN.to_owned()),
            ];
        }
        operator.processes.push(operator.scene.worker(&[])?);
        wait::until("the console to answer", PATIENCE, async || {
            match operator.run("devices list").await {
                Ok(output) if output.code == Some(0) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
        Ok(operator)
    }

    async fn on(ground: Ground) -> Result<Self> {
        Self::in_the(Scene::new(ground).await?, ground).await
    }

    /// Runs a command. Its arguments are separated by blanks and contain none.
    async fn run(&self, line: &str) -> Result<CommandOutput> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.args(line.split(' ')).current_dir(self.scene.folder());
        command.envs(self.environment.iter().cloned());
        let output: Output = tokio::task::spawn_blocking(move || command.output()).await??;
        Ok(CommandOutput {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Runs a command that must end with this exit code, and returns its output.
    async fn expect_exit(&self, line: &str, code: i32) -> Result<CommandOutput> {
        let output = self.run(line).await?;
        ensure!(output.code == Some(code), "{line}: {output:?}");
        Ok(output)
    }

    /// Runs a command that must succeed, and returns its JSON output.
    async fn json(&self, line: &str) -> Result<Value> {
        let output = self.expect_exit(&format!("{line} --json"), 0).await?;
        serde_json::from_str(&output.stdout).with_context(|| format!("{line}: {output:?}"))
    }

    /// The unsettled dead letters, newest first.
    async fn dead(&self) -> Result<Vec<Value>> {
        let list = self.json("dead list").await?;
        Ok(list.as_array().context("a list")?.clone())
    }

    async fn end(self) -> Result<()> {
        for process in self.processes.into_iter().rev() {
            process.stop().await?;
        }
        Ok(())
    }
}
