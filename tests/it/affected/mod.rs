//! `lockstep affected` on real repositories. It needs no broker, no database and no console.

mod commits;
mod documentation;
mod hostile;
pub(crate) mod repository;

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use repository::{Repository, affected};
use serde_json::{Value, json};

const FLEET: &str = "
- {hostname: a1, device_type: ACCESS, platform: eos}
- {hostname: a2, device_type: ACCESS, platform: junos}
- {hostname: d1, device_type: DIST, platform: eos, state: UNMANAGED}
- {hostname: d2, device_type: DIST, platform: eos}
- {hostname: c1, device_type: CORE, platform: eos}
- {hostname: fw1, device_type: FIREWALL, platform: junos}
- {hostname: new1, device_type: UNKNOWN}
";

const NTP: &str = "ntp_servers: [{host: 192.0.2.1}]\n";
const FILE: &str = "100644";
const GROUPS: &str = "groups: [{group: {name: SECOND, regex: '.*2', group_priority: 7}}]\n";

/// Runs the command and reads its JSON. The problems go to stderr too.
fn run_json(folder: &Path, arguments: &[&str]) -> Result<(Option<i32>, Value, String)> {
    let output = affected(folder, &[arguments, &["--json"]].concat(), &[])?;
    let stderr = String::from_utf8(output.stderr)?;
    let value = serde_json::from_slice(&output.stdout).with_context(|| stderr.clone())?;
    Ok((output.status.code(), value, stderr))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_device_limit_decides_the_exit_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("fleet.yml"), FLEET)?;
    let ask = |most: &str| {
        let arguments = [
            "--repository",
            "settings",
            "--path",
            "access/a.yml",
            "--inventory",
            "fleet.yml",
        ];
        affected(
            folder.path(),
            &[&arguments[..], &["--max-devices", most]].concat(),
            &[],
        )
    };
    let output = ask("2")?;
    ensure!(output.status.code() == Some(0), "{}", stderr(&output));
    let expected = "HOSTNAME  TYPE    PLATFORM\na1        ACCESS  eos\na2        ACCESS  junos\n";
    ensure!(
        output.stdout == expected.as_bytes(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    ensure!(
        stderr(&output) == "2 of 7 devices would become unsynchronized\n",
        "{}",
        stderr(&output)
    );
    let output = ask("1")?;
    ensure!(output.status.code() == Some(1) && output.stdout == expected.as_bytes());
    ensure!(stderr(&output).contains("2 devices would become unsynchronized, --max-devices allows 1"));
    Ok(())
}

#[test]
fn paths_alone_are_enough() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |path: &str, text: &str| {
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().context("a parent")?)?;
        anyhow::Ok(std::fs::write(file, text)?)
    };
    write("fleet.yml", FLEET)?;
    write("settings/global/groups.yml", GROUPS)?;
    write(
        "templates/eos/mapping.yml",
        "DIST: {entrypoint: dist.j2, dependencies: ['b*.j2']}\nCORE: {entrypoint: c.j2}\n",
    )?;
    write("templates/junos/mapping.yml", "]")?;
    let table: [(&str, i32, Value); 8] = [
        (
            "settings --path groups/SECOND/x --settings settings --inventory fleet.yml",
            0,
            json!({"devices": ["a2", "d2"], "groups": ["SECOND"]}),
        ),
        (
            "settings --path groups/SECOND/x --inventory fleet.yml",
            0,
            json!({"devices": [], "problems": [{"file": "groups/SECOND", "line": null, "column": null,
                "reason": "the group is not in global/groups.yml, or --settings is missing"}]}),
        ),
        (
            "settings --path ./devices/d1/x devices/gone/x devices/a_b/x --path core/x --inventory fleet.yml",
            0,
            json!({"devices": ["c1", "d1"], "device_types": ["CORE"], "unknown_hostnames": ["gone"]}),
        ),
        (
            "settings --path devices/d1/x --path access/x",
            0,
            json!({"devices": ["d1"], "device_types": ["ACCESS"], "unknown_hostnames": []}),
        ),
        (
            "templates --path eos/base.j2 README.md --templates templates --inventory fleet.yml",
            0,
            json!({"devices": ["d1", "d2"], "device_types": [], "platforms": [["DIST", "eos"]]}),
        ),
        (
            "templates --path eos/mapping.yml --templates templates --inventory fleet.yml",
            0,
            json!({"devices": ["c1", "d1", "d2"], "platforms": [["CORE", "eos"], ["DIST", "eos"]]}),
        ),
        (
            "templates --path junos/x.j2 --templates templates",
            1,
            json!({"devices": [], "problems": [{"file": "junos/mapping.yml", "line": 1, "column": 1, "reason": "invalid YAML: misplaced bracket"}]}),
        ),
        (
            "templates --path iosxr/mapping.yml --templates templates",
            0,
            json!({"platforms": [["ACCESS", "iosxr"], ["CORE", "iosxr"], ["DIST", "iosxr"], ["FIREWALL", "iosxr"], ["UNKNOWN", "iosxr"]]}),
        ),
    ];
    for (line, expected_code, expected) in table {
        let arguments: Vec<&str> = ["--repository"].into_iter().chain(line.split(' ')).collect();
        let (code, value, stderr) = run_json(folder.path(), &arguments)?;
        ensure!(code == Some(expected_code), "{line}: {stderr}");
        for (key, expected) in expected.as_object().context("a map")? {
            ensure!(value[key] == *expected, "{line}: {key}: {value}");
        }
    }
    Ok(())
}

#[test]
fn declared_types_are_read_from_the_configuration() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let fleet = format!("{FLEET}- {{hostname: s1, device_type: SPINE}}\n");
    std::fs::write(folder.path().join("fleet.yml"), fleet)?;
    std::fs::write(
        folder.path().join("site.toml"),
        "[devices.types.SPINE]\ndirectory = 'spine'\n",
    )?;
    let arguments = [
        "--repository",
        "settings",
        "--path",
        "spine/a.yml",
        "--inventory",
        "fleet.yml",
    ];
    let (code, report, _) = run_json(folder.path(), &arguments)?;
    ensure!(code == Some(0) && report["devices"] == json!([]), "{report}");
    let configured = [&arguments[..], &["--config", "site.toml"]].concat();
    let (code, report, _) = run_json(folder.path(), &configured)?;
    ensure!(code == Some(0) && report["devices"] == json!(["s1"]), "{report}");
    ensure!(report["device_types"] == json!(["SPINE"]), "{report}");
    Ok(())
}

#[test]
fn invalid_arguments_are_rejected_with_advice() -> Result<()> {
    let repository = Repository::new()?;
    repository.commit(&[(FILE, b"access/a.yml", NTP)])?;
    std::fs::write(
        repository.path().join("bad.yml"),
        "- {hostname: a_b, device_type: CORE}",
    )?;
    let table = [
        ("--repository settings", 2, "--path"),
        (
            "--repository wiki --path x",
            2,
            "unknown repository \"wiki\"; expected settings or templates",
        ),
        ("--repository settings --path x --git .", 2, "cannot be used with"),
        ("--repository settings --git . --from main", 2, "--to"),
        (
            "--repository settings --path /x",
            2,
            "remove the slash at its start",
        ),
        (
            "--repository settings --path x --settings none",
            2,
            "none is not a folder",
        ),
        ("--repository templates --path x", 2, "--templates DIR is needed"),
        ("--repository settings --path x --max-devices 1", 2, "--inventory"),
        (
            "--repository settings --path x --inventory none.yml",
            1,
            "cannot read none.yml",
        ),
        (
            "--repository settings --path x --inventory bad.yml",
            1,
            "bad.yml: entry 1 (a_b): hostname",
        ),
        (
            "--repository settings --git . --from gone --to main",
            1,
            "cannot find gone in .; if it exists upstream, fetch it first",
        ),
        (
            "--repository settings --git none --from main --to main",
            1,
            "cannot find main in none",
        ),
        // Never an option of git.
        (
            "--repository settings --git . --from=--help --to main",
            1,
            "cannot find --help in .",
        ),
        (
            "--repository settings --git . --from=--output=written --to main",
            1,
            "cannot find --output=written",
        ),
    ];
    for (line, code, expected) in table {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = affected(repository.path(), &arguments, &[])?;
        let errors = stderr(&output);
        ensure!(
            output.status.code() == Some(code),
            "{line}: {} {errors}",
            output.status
        );
        ensure!(errors.contains(expected), "{line}: {errors}");
        ensure!(output.stdout.is_empty(), "{line}");
    }
    ensure!(!repository.path().join("written").exists());
    Ok(())
}
