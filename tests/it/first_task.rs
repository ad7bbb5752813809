//! Runs the commands of `docs/first-task.md` as they are written, block by block, with RabbitMQ and PostgreSQL.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{Database, free_port, wait};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::system::{PATIENCE, shell};

const PAGE: &str = include_str!("../../docs/first-task.md");

/// The page in a folder, with the servers of this test.
struct Page {
    folder: tempfile::TempDir,
    /// What stands on the page, and what stands in its place.
    replaced: Vec<(&'static str, String)>,
    /// The lines that later blocks need, too.
    exports: String,
    blocks: std::vec::IntoIter<&'static str>,
}

impl Page {
    fn new(replaced: Vec<(&'static str, String)>) -> Result<Self> {
        for (text, _) in &replaced {
            ensure!(PAGE.contains(text), "{text} is not on the page");
        }
        let blocks = PAGE.split("```sh\n").skip(1);
        let blocks: Vec<&str> = blocks.filter_map(|block| block.split("```").next()).collect();
        Ok(Self {
            folder: tempfile::tempdir()?,
            replaced,
            exports: String::new(),
            blocks: blocks.into_iter(),
        })
    }

    /// Runs the next block, which contains this text, and returns its output.
    fn run(&mut self, text: &str) -> Result<String> {
        let block = self.blocks.next().context("the page has no more blocks")?;
        ensure!(block.contains(text), "{text} is not in the next block:\n{block}");
        let mut block = block.to_owned();
        for (from, to) in &self.replaced {
            block = block.replace(from, to);
        }
        let printed = shell(self.folder.path(), &format!("{}{block}", self.exports))?;
        for line in block.lines().filter(|line| line.starts_with("export ")) {
            self.exports.push_str(line);
            self.exports.push('\n');
        }
        Ok(printed)
    }

    fn lockstep(&self, command: &str) -> Result<String> {
        shell(self.folder.path(), &format!("{}lockstep {command}", self.exports))
    }

    /// Waits until a log contains this text.
    async fn logged(&self, log: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(log);
        wait::until(&format!("{log} to contain {text:?}"), PATIENCE, async || {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            if found.contains(text) { Ok(()) } else { Err(found) }
        })
        .await?;
        Ok(())
    }

    fn execution(&self, number: u32) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.lockstep(&format!("executions show {number} --json"))?,
        )?)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        for process in ["fleet", "worker-1", "worker-2", "console"] {
            if let Some(pid) = pid(&self.folder.path().join(format!("{process}.pid"))) {
                // It may have ended.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

fn pid(file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(file).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_task_goes_as_written() -> Result<()> {
    let vhost = lockstep_testbed::vhost().await?;
    let database = Database::start().await?;
    let (fleet, console) = (free_port()?, free_port()?);
    let mut page = Page::new(vec![
        ("amqp://guest:guest@127.0.0.1:5672/%2f", vhost.url()),
        (
            "postgres://postgres:postgres@127.0.0.1:5432/postgres",
            database.url(),
        ),
        ("127.0.0.1:8910", format!("127.0.0.1:{console}")),
        (
            "--devices 40",
            format!("--devices 40 --listen 127.66.0.1:{fleet}"),
        ),
        ("port = 8443", format!("port = {fleet}")),
        (
            "[executions]",
            format!("[console]\nlisten = \"127.0.0.1:{console}\"\n\n[executions]"),
        ),
    ])?;
    page.run("lockstep simulate fleet")?;
    page.logged("fleet.log", "40 simulated devices listen").await?;
    let checked = page.run("lockstep config check")?;
    ensure!(!checked.contains("a token for"), "{checked}");
    page.run("lockstep migrate")?;
    for worker in ["worker-1.log", "worker-2.log"] {
        page.logged(worker, "worker started").await?;
    }
    page.logged("console.log", "listen").await?;
    let devices = page.run("lockstep devices import")?;
    ensure!(devices.contains("leaf00001"), "{devices}");
    let saved = page.run("lockstep tasks save")?;
    ensure!(
        saved.contains("versions.yml is valid") && saved.contains("task versions"),
        "{saved}"
    );

    let two = page.run("--host leaf00001")?;
    ensure!(two.contains("SUCCESSFUL"), "{two}");
    let all = page.run("--all")?;
    ensure!(all.contains("versions"), "{all}");
    let running = page.execution(2)?;
    ensure!(
        running["ended_at"].is_null(),
        "it is killed in the middle: {running}"
    );
    wait::until("some devices to be done", PATIENCE, async || {
        let execution = page.execution(2).map_err(|error| format!("{error:#}"))?;
        if execution["done"].as_u64() > Some(5) {
            Ok(())
        } else {
            Err(execution.to_string())
        }
    })
    .await?;
    let killed = pid(&page.folder.path().join("worker-2.pid")).context("no process id")?;
    let watched = page.run("executions watch")?;
    ensure!(test_kill_process(killed).is_err(), "the worker is alive");
    ensure!(watched.contains("PARTIAL_FAILED"), "{watched}");
    let ended = page.execution(2)?;
    let counts = ["elements", "done", "failed", "skipped"].map(|name| ended[name].as_u64());
    ensure!(counts == [Some(40), Some(39), Some(1), Some(0)], "{ended}");
    let elements: Value = serde_json::from_str(&page.lockstep("elements list 2 --json")?)?;
    let elements = elements.as_array().context("no list")?;
    let again = elements
        .iter()
        .filter(|element| element["attempts"].as_u64() > Some(1));
    ensure!(
        again.count() > 0,
        "the killed worker ran no device: {elements:#?}"
    );

    let failed = page.run("--outcome failed")?;
    ensure!(
        failed.contains("leaf00040") && failed.contains("unreachable"),
        "{failed}"
    );
    let output = page.run("devices facts")?;
    ensure!(output.matches("show version").count() >= 2, "{output}");
    let again = page.run("executions relaunch")?;
    ensure!(again.contains("FAILED"), "{again}");
    let relaunched = page.execution(3)?;
    ensure!(
        relaunched["elements"] == 1 && relaunched["failed"] == 1,
        "{relaunched}"
    );
    page.run("kill")?;
    ensure!(page.blocks.next().is_none(), "the page has more blocks");
    Ok(())
}
