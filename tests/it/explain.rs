//! Runs the example of `docs/how-to/explain.md` as it is written.

use anyhow::{Result, ensure};
use lockstep_testbed::free_port;

use crate::system::Page;

const PAGE: &str = include_str!("../../docs/how-to/explain.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_an_explanation_goes_as_written() -> Result<()> {
    let port = free_port()?;
    let free = "--listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0";
    let mut page = Page::new(
        PAGE,
        vec![
            ("127.64.0.", "127.73.0.".to_owned()),
            ("port = 8443", format!("port = {port}")),
            ("--devices 2", format!("--devices 2 --listen 127.73.0.1:{port}")),
            ("lockstep up >up.log", format!("lockstep up {free} >up.log")),
        ],
    )?;
    page.run("lockstep simulate fleet")?;
    page.logged("fleet.log", "2 simulated devices listen").await?;
    page.run("lockstep up")?;
    page.logged("up.log", "lockstep is up").await?;
    page.run("lockstep sync apply --all")?;
    page.run("Another time server")?;

    let of_execution = page.run("lockstep explain 3")?;
    for expected in [
        "  lockstep.sync.requested by ",
        "  rule: the settings of a device type change: all of that type",
        "refresh_settings by ",
        ": Another time server",
        "    global/base_system.yml (",
        "  leaf00001: synchronized, generation ",
        "  execution 2 of sync SUCCESSFUL: 2 done, 0 failed, 0 skipped, dry run",
        "  execution 3 of sync SUCCESSFUL: 2 done, 0 failed, 0 skipped (applies plan 2): requested ",
        "came to step done",
    ] {
        ensure!(of_execution.contains(expected), "{expected}: {of_execution}");
    }
    let trace = of_execution.lines().find(|line| line.starts_with("  trace "));
    ensure!(
        trace.is_some_and(|line| line.trim_start_matches("  trace ").len() == 32),
        "{of_execution}"
    );
    ensure!(!of_execution.contains("not allowed"), "{of_execution}");

    let element = page.json("elements list 3")?[0]["number"].to_string();
    let of_element = page.lockstep(&format!("explain {element} --of element"))?;
    ensure!(
        of_element.contains("applies plan 2") && of_element.matches("came to step").count() == 2,
        "{of_element}"
    );
    let message = page.json("explain 3")?["causes"][0]["cause"]["id"].clone();
    let shown = page.lockstep(&format!("messages show {}", message.as_str().unwrap_or_default()))?;
    ensure!(
        shown.contains("lockstep.repository.refresh-requested") && shown.contains("trace "),
        "{shown}"
    );

    let of_message = page.run("lockstep explain \"$(lockstep explain 3 --json")?;
    for expected in [
        "  lockstep.repository.refresh-requested by ",
        "  4 sync flags changed",
        "execution 2 of sync",
        "execution 3 of sync",
    ] {
        ensure!(of_message.contains(expected), "{expected}: {of_message}");
    }
    ensure!(!of_message.contains("execution 1 of sync"), "{of_message}");
    page.ended()
}
