//! The commands for tasks and executions, as an operator types them, beside `lockstep up` and simulated devices.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use lockstep_simulators::fleet::{Behaviour, Device, FleetSimulator, Options};
use lockstep_testbed::wait;
use serde_json::{Value, json};

use crate::system::{PATIENCE, Process, shell};

const TASK: &str = "name: versions
description: The version of every switch
provider: command
arguments:
  commands: [show version]
  facts_key: versions
";

/// A running `lockstep up` with devices.
struct Scene {
    folder: tempfile::TempDir,
    fleet: FleetSimulator,
    up: Process,
}

impl Scene {
    async fn new(devices: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let options = Options::default();
        let fleet =
            FleetSimulator::start((1..=devices).map(Device::numbered).collect(), options.clone()).await?;
        let addresses = fleet.addresses();
        let port = addresses.first().context("no device")?.port();
        std::fs::write(folder.path().join("ca.pem"), fleet.ca_pem())?;
        private(folder.path(), "password", &options.password)?;
        let config = format!(
            "[devices]\nport = {port}\nca_file = \"ca.pem\"\n[devices.credentials.default]\nusername = \"{}\"\n\
             password_file = \"password\"\n",
            options.username
        );
        private(folder.path(), "lockstep.toml", &config)?;
        let entries: Vec<Value> = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| {
                let hostname = fleet.edit(index, |device| device.hostname.clone());
                json!({"hostname": hostname, "device_type": "ACCESS", "platform": "eos", "management_ip": address.ip(),
                    "groups": if index == 0 { vec!["first"] } else { vec![] }})
            })
            .collect();
        std::fs::write(folder.path().join("fleet.yml"), Value::from(entries).to_string())?;
        std::fs::write(folder.path().join("versions.yml"), TASK)?;
        let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
        let up = Process::start(folder.path(), &arguments, &[])?;
        up.prints("lockstep is up").await?;
        let scene = Self { folder, fleet, up };
        shell(
            scene.folder.path(),
            "lockstep devices import fleet.yml && lockstep tasks save versions.yml",
        )?;
        Ok(scene)
    }

    /// Runs a command, and returns its exit code and both outputs.
    fn run(&self, line: &str) -> Result<(i32, String, String)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.current_dir(self.folder.path()).args(line.split(' '));
        let Output {
            status,
            stdout,
            stderr,
        } = command.output()?;
        Ok((
            status.code().context("a signal")?,
            String::from_utf8(stdout)?,
            String::from_utf8(stderr)?,
        ))
    }

    /// Runs a command that succeeds, and returns the JSON that it prints.
    fn json(&self, line: &str) -> Result<Value> {
        let (code, out, err) = self.run(&format!("{line} --json"))?;
        ensure!(code == 0, "{line}: {code} {out}{err}");
        serde_json::from_str(&out).with_context(|| format!("{line}: {out}"))
    }

    /// Runs a command that ends with this code, and returns what it prints.
    fn ends(&self, code: i32, line: &str) -> Result<String> {
        let (found, out, err) = self.run(line)?;
        ensure!(found == code, "{line}: {found} {out}{err}");
        Ok(out + &err)
    }
}

/// A file that only its owner may read.
pub(crate) fn private(folder: &Path, name: &str, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = std::fs::File::options();
    let mut file = options
        .create(true)
        .write(true)
        .mode(0o600)
        .open(folder.join(name))?;
    Ok(file.write_all(text.as_bytes())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_read_and_run_again() -> Result<()> {
    let scene = Scene::new(3).await?;
    scene.fleet.take_down(2).await;

    let task = "{name: x, provider: command, argument: 1, arguments: {commands: [], format: xml}}";
    std::fs::write(scene.folder.path().join("wrong.yml"), task)?;
    let problems = scene.ends(1, "tasks validate wrong.yml")?;
    for place in ["$.argument: ", "$.arguments.commands: ", "$.arguments.format: "] {
        ensure!(problems.contains(place), "{place} is not in {problems}");
    }
    scene.ends(1, "tasks save wrong.yml")?;
    let tasks = scene.json("tasks list")?;
    ensure!(
        tasks[0]["name"] == "versions" && tasks[1].is_null(),
        "a wrong task was saved: {tasks}"
    );

    let printed = scene.ends(1, "tasks run versions --all --wait")?;
    for expected in [
        "accepted as execution 1: 3 elements, dry run",
        "PARTIAL_FAILED: 2 done, 1 failed, 0 skipped",
        "leaf00003  FAILED  unreachable: ",
        "lockstep executions relaunch 1 --failed",
    ] {
        ensure!(printed.contains(expected), "{expected} is not in {printed}");
    }
    let failed = scene.json("elements list 1 --outcome failed")?;
    ensure!(
        failed[0]["name"] == "leaf00003" && failed[0]["reason"] == "unreachable" && failed[1].is_null(),
        "{failed}"
    );
    let element = scene.json("executions show 1 --element leaf00001")?;
    let output = &element["data"]["outputs"][0];
    ensure!(output["output"]["modelName"].is_string(), "{element}");
    let number = &element["number"];
    let shown = scene.ends(0, &format!("elements show {number}"))?;
    ensure!(shown.contains("- command: show version\n"), "{shown}");
    let facts = scene.json("devices facts leaf00001")?;
    ensure!(
        facts[0]["key"] == "versions" && &facts[0]["element"] == number,
        "{facts}"
    );

    scene.fleet.bring_up(2).await?;
    let printed = scene.ends(0, "executions relaunch 1 --failed --wait")?;
    ensure!(
        printed.contains("accepted as execution 2: 1 element, dry run"),
        "{printed}"
    );
    let relaunched = scene.json("executions show 2")?;
    let first = scene.json("executions show 1")?;
    ensure!(relaunched["relaunch_of"] == first["id"], "{relaunched}");

    let grouped = scene.ends(
        0,
        "tasks run versions --group first --apply --wait --argument timeout_seconds=20",
    )?;
    ensure!(
        grouped.contains("accepted as execution 3: 1 element\n"),
        "{grouped}"
    );
    scene.ends(1, "tasks run versions --group nobody")?;
    scene.ends(1, "tasks run versions --host leaf00009")?;
    let touched = scene.json("executions list --host leaf00001")?;
    let numbers: Vec<&Value> = touched
        .as_array()
        .context("a list")?
        .iter()
        .map(|row| &row["number"])
        .collect();
    ensure!(numbers == [3, 1], "{touched}");
    scene.up.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_stopped_watched_and_cancelled() -> Result<()> {
    let scene = Scene::new(2).await?;
    scene.ends(0, "stop-all --note storm")?;
    let accepted = scene.json("tasks run versions --all --no-wait")?;
    ensure!(accepted["number"] == 1, "{accepted}");
    let shown = scene.ends(0, "executions show 1")?;
    ensure!(
        shown.contains("state        PENDING") && shown.contains("storm; `lockstep resume-all`"),
        "{shown}"
    );
    wait::until("both elements to wait for the stop", PATIENCE, async || {
        let open = scene.json("elements list 1 --outcome open");
        let open = open.map_err(|error| format!("{error:#}"))?;
        let waits: Vec<&Value> = (0..2).map(|index| &open[index]["waits_for"]).collect();
        if waits == ["stop", "stop"] {
            Ok(())
        } else {
            Err(open.to_string())
        }
    })
    .await?;
    scene.ends(0, "resume-all")?;
    let changes = scene.ends(0, "executions watch 1 --json")?;
    let last = changes.lines().last().context("no change")?;
    let last: Value = serde_json::from_str(last)?;
    ensure!(last["state"] == "SUCCESSFUL" && last["done"] == 2, "{changes}");

    scene.fleet.behave(1, Behaviour::Silent);
    scene.json("tasks run versions --all --no-wait")?;
    let mut watching = Process::start(scene.folder.path(), &["executions", "watch", "2"], &[])?;
    watching.prints("1 of 2 elements ended").await?;
    watching.signal(rustix::process::Signal::INT)?;
    ensure!(
        watching.ended().await?.code() == Some(1),
        "it did not end as SUCCESSFUL"
    );
    watching
        .prints("execution 2 goes on; to end it, too: lockstep executions cancel 2")
        .await?;
    let shown = scene.json("executions show 2")?;
    ensure!(shown["state"] == "RUNNING", "{shown}");
    scene.ends(0, "executions cancel 2")?;
    let printed = scene.ends(1, "executions watch 2")?;
    ensure!(printed.contains("ABORTED: 1 done, 1 failed"), "{printed}");
    let failed = scene.json("elements list 2 --outcome failed")?;
    ensure!(failed[0]["reason"] == "cancelled", "{failed}");
    let again = scene.ends(0, "executions cancel 2")?;
    ensure!(again.contains("ended before"), "{again}");

    scene.ends(
        1,
        "schedules save nightly --cron 0_2_*_*_* --task versions --all --disabled",
    )?;
    let script =
        "lockstep schedules save nightly --cron '0 2 * * *' --task versions --host leaf00001 --disabled";
    shell(scene.folder.path(), script)?;
    let schedules = scene.json("schedules list")?;
    ensure!(
        schedules[0]["name"] == "nightly" && schedules[0]["next_at"].is_null(),
        "{schedules}"
    );
    scene.ends(0, "schedules delete nightly")?;
    scene.ends(1, "schedules delete nightly")?;
    scene.ends(0, "tasks delete versions")?;
    scene.ends(1, "tasks run versions --all")?;
    scene.up.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_on_what_is_named_between_its_pre_and_post_tasks() -> Result<()> {
    let scene = Scene::new(3).await?;
    scene.fleet.take_down(2).await;
    let folder = scene.folder.path();
    std::fs::write(folder.join("reachable.yml"), "{name: reachable, provider: ping}")?;
    let fleet = "{name: fleet, provider: template_facts, \
        arguments: {run_on: GLOBAL, facts_key: last, expressions: {of: fleet.name}}}";
    std::fs::write(folder.join("fleet.yml"), fleet)?;
    scene.ends(0, "tasks save reachable.yml")?;
    scene.ends(0, "tasks save fleet.yml")?;
    let unknown = scene.ends(1, "tasks save versions.yml --pre reachable --pre nothing")?;
    ensure!(
        unknown.contains("$.pre_tasks[1]: no task is named \"nothing\""),
        "{unknown}"
    );
    let circular = scene.ends(1, "tasks save versions.yml --post versions")?;
    ensure!(circular.contains("$.post_tasks[0]: "), "{circular}");
    scene.ends(0, "tasks save versions.yml --pre reachable --post fleet")?;
    let shown = scene.ends(0, "tasks show versions")?;
    ensure!(
        shown.contains("pre_tasks:\n- reachable\n") && shown.contains("post_tasks:\n- fleet\n"),
        "{shown}"
    );
    let listed = scene.ends(0, "tasks list --columns name,pre-tasks,post-tasks")?;
    ensure!(listed.contains("versions   reachable  fleet"), "{listed}");

    let none = scene.ends(1, "tasks run versions --on DEVICE leaf00001 leaf00009 --wait")?;
    ensure!(none.contains("no DEVICE is named \"leaf00009\""), "{none}");
    scene.ends(1, "tasks run versions --on DEVICE leaf00001 leaf00003 --wait")?;
    let execution = scene.json("executions show 1")?;
    ensure!(
        execution["pre_tasks"] == json!(["reachable"]) && execution["post_tasks"] == json!(["fleet"]),
        "{execution}"
    );
    let stages: Vec<(&Value, &Value)> = (0..3)
        .map(|index| &execution["stages"][index])
        .map(|stage| (&stage["task"], &stage["stage"]))
        .collect();
    let expected = [
        ("reachable", "devices"),
        ("versions", "devices"),
        ("fleet", "run-global"),
    ];
    ensure!(
        stages
            .iter()
            .map(|(task, stage)| (task.as_str(), stage.as_str()))
            .eq(expected.map(|(task, stage)| (Some(task), Some(stage)))),
        "{execution}"
    );
    let named = |results: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = results.as_array().into_iter().flatten();
        rows.map(|row| (text(&row["name"]), text(&row["state"])))
            .collect()
    };
    let is = |results: &Value, expected: &[(&str, &str)]| {
        let expected = expected.iter();
        named(results)
            == expected
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect::<Vec<_>>()
    };
    let before = scene.json("executions results 1 --phase 0")?;
    ensure!(
        is(
            &before,
            &[("leaf00001", "SUCCESSFUL"), ("leaf00003", "PRECHECK_FAILED")]
        ),
        "{before}"
    );
    let results = scene.json("executions results 1")?;
    ensure!(is(&results, &[("leaf00001", "SUCCESSFUL")]), "{results}");
    ensure!(
        results[0]["data"]["outputs"][0]["output"].is_object(),
        "{results}"
    );
    let global = scene.json("executions results 1 --phase 2 --level global")?;
    ensure!(global[0]["data"] == json!({"of": "fleet"}), "{global}");
    let shown = scene.ends(0, "executions show 1")?;
    ensure!(
        shown.contains("stages       devices of reachable, devices, run-global of fleet\n"),
        "{shown}"
    );

    // An execution of which the elements are the results, and a group by its name.
    scene.ends(0, "tasks run reachable --on GROUP first --wait")?;
    let results = scene.json("executions results 2")?;
    ensure!(is(&results, &[("leaf00001", "SUCCESSFUL")]), "{results}");
    ensure!(results[0]["data"]["version"].is_string(), "{results}");
    scene.up.stop().await
}
