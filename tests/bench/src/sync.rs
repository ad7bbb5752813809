//! Measures a plan over simulated devices by whole processes: `lockstep up`, `lockstep simulate fleet`, `lockstep sync plan`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use lockstep_testbed::{free_port, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::processes::memory_kib;
use crate::table::{Goal, Row, Table};

/// What a device takes for each request, in milliseconds.
const LATENCY: u32 = 50;
/// Devices at once.
const AT_ONCE: u32 = 32;
/// Devices at once whose configuration is large.
const LARGE_AT_ONCE: u32 = 128;
/// Lines of a large configuration, of about 50 bytes each.
const LARGE_LINES: u32 = 2000;
/// The highest memory of a run under way, in KiB.
const MOST_KIB: f64 = 512.0;
const PATIENCE: Duration = Duration::from_mins(2);

/// Adds the rows about plans.
///
/// # Errors
/// The program `lockstep` is not beside this one, or a device was not compared.
pub(crate) async fn measure(devices: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let (mut rates, mut ideals, mut each) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let planned = plan(devices, AT_ONCE, 10).await?;
        let ideal = planned.requests * f64::from(LATENCY) / 1e3 / f64::from(AT_ONCE);
        eprintln!("sync, round {round}: {planned:.1?}, ideal {ideal:.1} s");
        rates.push(f64::from(devices) / planned.seconds);
        ideals.push(f64::from(devices) / ideal);
        let large = plan(LARGE_AT_ONCE, LARGE_AT_ONCE, LARGE_LINES).await?;
        eprintln!("sync, round {round}: large configurations: {large:.1?}");
        each.push(large.growth_kib / f64::from(LARGE_AT_ONCE));
    }
    table.rows.push(Row::new(
        format!("plan over {devices} devices of {LATENCY} ms a request, {AT_ONCE} at once"),
        "/s",
        &rates,
        ("ideal", &ideals),
        Goal::Times(0.9),
    ));
    table.rows.push(Row::new(
        format!(
            "memory of a plan under way, with a configuration of {} KiB",
            LARGE_LINES / 20
        ),
        "KiB",
        &each,
        ("goal", &[MOST_KIB]),
        Goal::AtMost(1.0),
    ));
    Ok(())
}

/// What a plan took.
#[derive(Debug)]
struct Planned {
    seconds: f64,
    /// Requests that all devices received.
    requests: f64,
    /// How much memory the process had at most, beyond what it had before.
    growth_kib: f64,
}

async fn plan(devices: u32, at_once: u32, lines: u32) -> anyhow::Result<Planned> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let program = std::env::current_exe()?.with_file_name("lockstep");
    ensure!(
        program.exists(),
        "{} does not exist: cargo build -p lockstep",
        program.display()
    );
    repositories(folder, lines)?;
    let port = free_port()?;
    let fleet = Running::start(
        &program,
        folder,
        "fleet",
        &[
            "simulate",
            "fleet",
            "--devices",
            &devices.to_string(),
            "--latency",
            &LATENCY.to_string(),
            "--listen",
            &format!("127.80.0.1:{port}"),
            "--ca-out",
            "fleet-ca.pem",
            "--inventory-out",
            "devices.yml",
        ],
    )?;
    fleet.prints("simulated devices listen").await?;
    inventory(folder)?;
    std::fs::write(folder.join("lockstep.toml"), configuration(folder, port, at_once))?;
    let up = Running::start(
        &program,
        folder,
        "up",
        &["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"],
    )?;
    up.prints("lockstep is up").await?;
    let lockstep = |arguments: &[&str]| run(&program, folder, arguments);
    lockstep(&["devices", "import", "fleet.yml"])?;
    for repository in ["settings", "templates"] {
        lockstep(&["repositories", "refresh", repository])?;
    }
    let before = memory_kib(up.child.id(), "VmRSS")?;
    let report = lockstep(&["sync", "plan", "--type", "ACCESS", "--resync", "--wait", "--json"])?;
    let report: Value = serde_json::from_slice(&report)?;
    let execution = &report["execution"];
    ensure!(
        execution["done"] == devices,
        "not all devices were compared: {execution}"
    );
    let time = |key: &str| -> anyhow::Result<Timestamp> {
        Ok(execution[key]
            .as_str()
            .with_context(|| format!("no {key}"))?
            .parse()?)
    };
    let seconds = time("ended_at")?
        .duration_since(time("started_at")?)
        .as_secs_f64();
    let growth_kib = memory_kib(up.child.id(), "VmHWM")? - before;
    let said = fleet.stop()?;
    let requests = said
        .split_whitespace()
        .zip(said.split_whitespace().skip(1))
        .find_map(|(number, word)| number.parse().ok().filter(|_| word.starts_with("requests")))
        .with_context(|| format!("no number of requests: {said}"))?;
    Ok(Planned {
        seconds,
        requests,
        growth_kib,
    })
}

/// Two repositories: the configuration has so many lines.
fn repositories(folder: &Path, lines: u32) -> anyhow::Result<()> {
    let mut template = "hostname {{ hostname }}\n!\n".to_owned();
    for number in 0..lines {
        writeln!(
            template,
            "ip access-list line{number:05}\n   permit ip any 10.0.{}.0/24\n!",
            number % 256
        )?;
    }
    template.push_str("management api http-commands\n   no shutdown\n!\nend\n");
    let files = [
        ("settings/global/base_system.yml", "ntp_servers: []\n".to_owned()),
        (
            "templates/eos/mapping.yml",
            "ACCESS: {entrypoint: access.j2}\n".to_owned(),
        ),
        ("templates/eos/access.j2", template),
    ];
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(path, text)?;
    }
    for repository in ["settings", "templates"] {
        let git = |arguments: &[&str]| -> anyhow::Result<()> {
            let status = Command::new("git")
                .args(["-c", "user.name=bench", "-c", "user.email=bench@example.org"])
                .args(arguments)
                .current_dir(folder.join(repository))
                .stdout(Stdio::null())
                .status()?;
            ensure!(status.success(), "git {arguments:?}: {status}");
            Ok(())
        };
        git(&["init", "-q", "-b", "main"])?;
        git(&["add", "-A"])?;
        git(&["commit", "-q", "-m", "Begin"])?;
    }
    Ok(())
}

/// The devices of the simulator, and a management domain that contains all of them.
fn inventory(folder: &Path) -> anyhow::Result<()> {
    let devices = std::fs::read_to_string(folder.join("devices.yml"))?;
    let mut text = "devices:\n".to_owned();
    for name in ["d1", "d2"] {
        writeln!(
            text,
            "  - {{hostname: {name}, device_type: DIST, state: UNMANAGED}}"
        )?;
    }
    for line in devices.lines() {
        writeln!(text, "  {line}")?;
    }
    text.push_str(
        "management_domains:\n  - {id: 1, device_a: d1, device_b: d2, ipv4_gw: 127.80.0.254/9, vlan: 600}\n",
    );
    std::fs::write(folder.join("fleet.yml"), text)?;
    Ok(())
}

fn configuration(folder: &Path, port: u16, at_once: u32) -> String {
    let folder = folder.display();
    format!(
        "[repositories.settings]\nurl = \"{folder}/settings\"\n[repositories.templates]\nurl = \"{folder}/templates\"\n\
         [executions]\nat_once = {at_once}\n[devices]\nport = {port}\nca_file = \"fleet-ca.pem\"\n\
         [devices.credentials.default]\nusername = \"admin\"\npassword = \"simulated\"\n"
    )
}

/// Runs a command to its end. Returns what it prints.
fn run(program: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// A process that ends with this value, and its log.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(program: &Path, folder: &Path, name: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::create(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { child, log })
    }

    async fn prints(&self, text: &str) -> anyhow::Result<()> {
        wait::until(&format!("{text:?}"), PATIENCE, async || {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            if log.contains(text) { Ok(()) } else { Err(log) }
        })
        .await?;
        Ok(())
    }

    /// Ends it as Ctrl-C does. Returns its log.
    fn stop(mut self) -> anyhow::Result<String> {
        let pid = Pid::from_raw(self.child.id().try_into()?).context("a process id")?;
        kill_process(pid, Signal::INT)?;
        self.child.wait()?;
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
