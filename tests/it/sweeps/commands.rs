//! The command that asks workers for a sweep, beside `lockstep up` with the embedded bus and SQLite.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario};
use serde_json::Value;

use super::{environment, set};
use crate::system::Process;

struct Site {
    folder: tempfile::TempDir,
    simulator: CvpSimulator,
    up: Process,
}

impl Site {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let simulator = CvpSimulator::start(Scenario::seed(), Options::default()).await?;
        std::fs::write(folder.path().join("cvp-ca.pem"), simulator.ca_pem())?;
        let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
        let up = Process::start(folder.path(), &arguments, &environment(&simulator))?;
        up.prints("lockstep is up").await?;
        Ok(Self {
            folder,
            simulator,
            up,
        })
    }

    fn ends(&self, code: i32, line: &str) -> Result<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.current_dir(self.folder.path()).args(line.split(' '));
        let output = command.output()?;
        let (out, err) = (
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        );
        ensure!(
            output.status.code() == Some(code),
            "{line}: {} {out}{err}",
            output.status
        );
        Ok(if code == 0 { out } else { out + &err })
    }

    /// The last line of JSON that the command prints: with `--wait`, the execution at its end.
    fn json(&self, line: &str) -> Result<Value> {
        let out = self.ends(0, &format!("{line} --json"))?;
        let last = out.lines().next_back().unwrap_or_default();
        serde_json::from_str(last).with_context(|| format!("{line}: {out}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_asks_for_a_sweep_and_sees_what_it_came_to() -> Result<()> {
    let site = Site::new().await?;
    let unknown = site.ends(1, "cvp request-sweep --cluster oslo --wait")?;
    ensure!(
        unknown.contains("unknown cluster \"oslo\"; expected one of lab"),
        "{unknown}"
    );

    let ended = site.json("cvp request-sweep --cluster lab --wait")?;
    ensure!(
        ended["state"] == "SUCCESSFUL" && ended["dry_run"] == true,
        "{ended}"
    );
    ensure!(site.simulator.cancelled().is_empty());

    let ended = site.json("cvp request-sweep --cluster lab --apply --task 1811 --wait")?;
    ensure!(ended["state"] == "SUCCESSFUL", "{ended}");
    ensure!(
        set(site.simulator.cancelled()) == set(["1811"]),
        "{:?}",
        site.simulator.cancelled()
    );

    // As a task, so that it can have a schedule.
    let task = "{name: nightly, provider: cvp_sweep, arguments: {cluster: lab}}";
    std::fs::write(site.folder.path().join("nightly.yml"), task)?;
    site.ends(0, "tasks save nightly.yml")?;
    let ended = site.json("tasks run nightly --execute-on GLOBAL --apply --wait")?;
    ensure!(ended["state"] == "SUCCESSFUL", "{ended}");
    let empty = set(["1811", "1810", "1809"]);
    ensure!(
        set(site.simulator.cancelled()) == empty,
        "{:?}",
        site.simulator.cancelled()
    );
    site.up.stop().await
}
