//! Measures `lockstep affected --rendered`: a change of `global/` that concerns all devices, whose configurations are rendered before and after.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::ensure;
use lockstep_testbed::Repository;
use serde_json::Value;

use crate::processes::cpu_time;
use crate::table::{Goal, Row, Table};

/// Devices of the fleet.
const DEVICES: u32 = 10_000;

/// Adds the rows about the command.
///
/// # Errors
/// The program `lockstep` is not beside this one, or it fails.
pub(crate) fn measure(rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let commits = scene(folder)?;
    let (mut cpu, mut seconds) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let (before, begin) = (cpu_time(std::process::id())?, Instant::now());
        affected(folder, &commits)?;
        seconds.push(begin.elapsed().as_secs_f64());
        let after = cpu_time(std::process::id())?;
        cpu.push(after.saturating_sub(before).as_secs_f64());
        eprintln!("rendered, round {round}: {cpu:.1?} s of CPU, {seconds:.1?} s");
    }
    table.rows.push(Row::new(
        format!("affected --rendered: a change of global/, {DEVICES} devices, CPU"),
        "s",
        &cpu,
        ("the time that it took", &seconds),
        Goal::None,
    ));
    Ok(())
}

/// Asks which devices have another configuration. Every second one has.
fn affected(folder: &Path, [from, to]: &[String; 2]) -> anyhow::Result<()> {
    let program = std::env::current_exe()?.with_file_name("lockstep");
    let output = Command::new(&program)
        .args([
            "affected",
            "--repository",
            "settings",
            "--git",
            "settings",
            "--from",
            from,
            "--to",
            to,
        ])
        .args([
            "--templates",
            concat!(env!("CARGO_MANIFEST_DIR"), "/templates"),
            "--inventory",
            "fleet.yml",
        ])
        .args(["--rendered", "--json"])
        .current_dir(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let count = |key: &str| answer["rendered"][key].as_array().map_or(0, Vec::len);
    let half = usize::try_from(DEVICES / 2)?;
    ensure!(
        (count("changed"), count("unchanged"), count("failed")) == (half, half, 0),
        "{}",
        answer["rendered"]
    );
    Ok(())
}

/// Settings in two commits, of which the second adds a server for one group, and an inventory.
fn scene(folder: &Path) -> anyhow::Result<[String; 2]> {
    let settings = Repository::init(&folder.join("settings"))?;
    let base = "ntp_servers:\n- {host: 10.255.0.1}\nsyslog_servers:\n- {host: 10.255.0.21}\nusers: []\n";
    let groups = "groups:\n- group: {name: EVEN, regex: 'sw.*[02468]$'}\n";
    settings.write("global/groups.yml", groups.as_bytes())?;
    settings.write("global/base_system.yml", base.as_bytes())?;
    let from = settings.commit("Begin")?;
    let added = base.replace(
        "syslog_servers:\n",
        "syslog_servers:\n- {host: 10.255.0.22, groups: [EVEN]}\n",
    );
    settings.write("global/base_system.yml", added.as_bytes())?;
    let to = settings.commit("Another server for some")?;
    let mut text =
        "devices:\n- {hostname: d1, device_type: DIST}\n- {hostname: d2, device_type: DIST}\n".to_owned();
    for number in 0..DEVICES {
        writeln!(
            text,
            "- {{hostname: sw{number:05}, device_type: ACCESS, platform: eos, management_ip: 10.{}.{}.7}}",
            number / 256 + 1,
            number % 256
        )?;
    }
    text.push_str(
        "management_domains:\n- {id: 1, device_a: d1, device_b: d2, ipv4_gw: 10.0.0.1/8, vlan: 600}\n",
    );
    std::fs::write(folder.join("fleet.yml"), text)?;
    Ok([from, to])
}
