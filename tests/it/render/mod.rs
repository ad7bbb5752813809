//! `lockstep render` from folders of a campus: its settings, its templates and its inventory. It needs no running system.

mod jinja2;
mod rendered;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The folder of the campus.
fn campus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/render/campus")
}

/// A command of lockstep in a folder of the campus, without what the machine configures.
fn lockstep(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    for variable in [
        "LOCKSTEP_CONFIG",
        "LOCKSTEP_URL",
        "LOCKSTEP_TOKEN",
        "LOCKSTEP_TOKEN_FILE",
    ] {
        command.env_remove(variable);
    }
    command.env("CAMPUS_ENABLE", "hush");
    command.current_dir(folder).args(arguments);
    command.output().context("cannot start lockstep")
}

const FOLDERS: [&str; 6] = [
    "--settings",
    "settings",
    "--templates",
    "templates",
    "--inventory",
    "fleet.yml",
];

fn render(folder: &Path, host: &str, arguments: &[&str]) -> Result<Output> {
    lockstep(folder, &[&["render", host], &FOLDERS[..], arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A copy of the campus that may be changed.
fn copy() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let copied = Command::new("cp")
        .arg("-r")
        .arg(campus().join("."))
        .arg(folder.path())
        .status()?;
    ensure!(copied.success());
    Ok(folder)
}

#[test]
fn exactly_the_configuration_is_on_stdout() -> Result<()> {
    for host in ["a1", "a2", "d1", "d2"] {
        let output = render(&campus(), host, &[])?;
        let expected = std::fs::read_to_string(campus().join(format!("expected/{host}.cfg")))?;
        ensure!(
            output.status.success() && output.stderr.is_empty(),
            "{host}: {}",
            text(&output.stderr)
        );
        ensure!(
            text(&output.stdout) == expected,
            "{host}:\n{}",
            text(&output.stdout)
        );
    }
    Ok(())
}

#[test]
fn variables_of_a_file_are_laid_over_all_others() -> Result<()> {
    let folder = copy()?;
    std::fs::write(
        folder.path().join("more.yml"),
        "hostname: other\nmgmt_vlan_id: 7\nmgmt_ipif: 192.0.2.7/24\n",
    )?;
    std::fs::write(
        folder.path().join("more.json"),
        r#"{"hostname": "json", "ntp_servers": [{"host": "\u00e4"}]}"#,
    )?;
    let fleet = "- {hostname: a1, device_type: ACCESS, platform: eos, management_ip: 192.0.2.7}\n";
    std::fs::write(folder.path().join("alone.yml"), fleet)?;
    let ask = |inventory: &str, variables: &[&str]| {
        let arguments = [
            "render",
            "a1",
            "--settings",
            "settings",
            "--templates",
            "templates",
            "--inventory",
            inventory,
        ];
        lockstep(folder.path(), &[&arguments[..], variables].concat())
    };
    let output = ask("alone.yml", &[])?;
    let expected = "lockstep: a1: its management address 192.0.2.7 is in no management domain";
    ensure!(
        output.status.code() == Some(1) && output.stdout.is_empty(),
        "{output:?}"
    );
    ensure!(
        text(&output.stderr).starts_with(expected),
        "{}",
        text(&output.stderr)
    );
    let output = ask("alone.yml", &["--variables", "more.yml"])?;
    let found = text(&output.stdout);
    ensure!(
        found.starts_with("hostname other\n") && found.contains("interface Vlan7\n"),
        "{found}{}",
        text(&output.stderr)
    );
    let output = ask("fleet.yml", &["--variables", "more.json"])?;
    let found = text(&output.stdout);
    ensure!(
        found.starts_with("hostname json\n") && found.contains("ntp server ä\n"),
        "{found}"
    );
    Ok(())
}

#[test]
fn problems_name_their_place_and_nothing_is_on_stdout() -> Result<()> {
    // A file to write, its content, and what stderr has then.
    let table = [
        (
            "settings/global/base_system.yml",
            "a: [",
            "settings/global/base_system.yml:",
        ),
        (
            "settings/global/base_system.yml",
            "- a\n",
            "lockstep: global/base_system.yml:1:1: must be a map of settings",
        ),
        (
            "settings/global/vxlans.yml",
            "vxlans: {a: {groups: x}}\n",
            "lockstep: global/vxlans.yml:1:22: groups must be a list",
        ),
        (
            "templates/eos/mapping.yml",
            "ACCESS: {}\n",
            "lockstep: eos/mapping.yml:1:9: entrypoint is missing",
        ),
        (
            "templates/eos/mapping.yml",
            "DIST: {entrypoint: dist.j2}\n",
            "lockstep: eos/mapping.yml: has no entrypoint for ACCESS",
        ),
        (
            "templates/eos/access.j2",
            "{% include 'none.j2' %}\n",
            "access.j2:1",
        ),
        (
            "templates/eos/shared/base.j2",
            "x\n{{ y.z.u }}\n",
            "shared/base.j2:2",
        ),
        (
            "fleet.yml",
            "- {hostname: a1, device_type: ACCESS}\n",
            "lockstep: a1: it has no platform",
        ),
        (
            "fleet.yml",
            "- {hostname: a10, device_type: ACCESS}\n",
            "fleet.yml has no device a1; did you mean a10?",
        ),
    ];
    for (path, content, expected) in table {
        let folder = copy()?;
        std::fs::write(folder.path().join(path), content)?;
        let output = render(folder.path(), "a1", &[])?;
        let stderr = text(&output.stderr);
        let expected = expected.trim_start_matches("settings/");
        ensure!(
            output.status.code() == Some(1) && output.stdout.is_empty(),
            "{path}: {output:?}"
        );
        ensure!(stderr.contains(expected), "{path}: {stderr}");
    }
    let output = lockstep(&campus(), &["render", "a1", "--settings", "settings"])?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    let nowhere = tempfile::tempdir()?;
    let output = lockstep(nowhere.path(), &["render", "a1"])?;
    let stderr = text(&output.stderr);
    ensure!(
        output.status.code() == Some(1) && stderr.contains("found no running Lockstep"),
        "{output:?}"
    );
    Ok(())
}

#[test]
fn variables_are_shown_with_their_origins_and_without_secrets() -> Result<()> {
    let output = render(&campus(), "d1", &["--origins", "--json"])?;
    ensure!(!text(&output.stdout).contains("hush"), "{}", text(&output.stdout));
    let shown: Value = serde_json::from_slice(&output.stdout)?;
    for (name, origin) in [
        ("ntp_servers", "groups/BERLIN/base_system.yml"),
        ("dns_servers", "dist/base_system.yml"),
        ("vxlans", "global/vxlans.yml and the settings of neighbors"),
        ("radius_servers", "default"),
        ("asn", "device"),
        ("TEMPLATE_SECRET_ENABLE", "secret"),
    ] {
        ensure!(shown[name]["origin"] == origin, "{name}: {}", shown[name]);
    }
    ensure!(shown["asn"]["value"] == 4_200_000_001_u64 && shown["TEMPLATE_SECRET"]["value"] == "***");
    let output = render(&campus(), "d1", &["--origins"])?;
    let table = text(&output.stdout);
    ensure!(
        table
            .lines()
            .any(|line| line.starts_with("interfaces ") && line.ends_with("device")),
        "{table}"
    );
    Ok(())
}
