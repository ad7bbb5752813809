//! Runs the commands of `docs/tutorials/first-task.md` as they are written, block by block, with RabbitMQ and PostgreSQL.

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{Database, free_port, wait};
use rustix::process::test_kill_process;

use crate::system::{PATIENCE, Page};

const PAGE: &str = include_str!("../../docs/tutorials/first-task.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_first_task_goes_as_written() -> Result<()> {
    let vhost = lockstep_testbed::vhost().await?;
    let database = Database::start().await?;
    let (fleet, console) = (free_port()?, free_port()?);
    let mut page = Page::new(
        PAGE,
        vec![
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
        ],
    )?;
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
    let killed = page.process("worker-2")?;
    let watched = page.run("executions watch")?;
    ensure!(test_kill_process(killed).is_err(), "the worker is alive");
    ensure!(watched.contains("PARTIAL_FAILED"), "{watched}");
    let ended = page.execution(2)?;
    let counts = ["elements", "done", "failed", "skipped"].map(|name| ended[name].as_u64());
    ensure!(counts == [Some(40), Some(39), Some(1), Some(0)], "{ended}");
    let elements = page.json("elements list 2")?;
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
    page.ended()
}
