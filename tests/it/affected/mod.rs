//! `lockstep affected` on real repositories. It needs no broker, no database and no console.

mod documentation;
mod repository;

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use repository::{Entry, Repository, affected};
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
fn judged(folder: &Path, arguments: &[&str]) -> Result<(Option<i32>, Value, String)> {
    let output = affected(folder, &[arguments, &["--json"]].concat(), &[])?;
    let stderr = String::from_utf8(output.stderr)?;
    let value = serde_json::from_slice(&output.stdout).with_context(|| stderr.clone())?;
    Ok((output.status.code(), value, stderr))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(value: &Value) -> String {
    let names: Vec<&str> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    names.join(" ")
}

#[test]
fn what_two_commits_differ_in_decides() -> Result<()> {
    let d1: Entry<'_> = (FILE, b"devices/d1/base_system.yml", NTP);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let table: [(&[Entry<'_>], &[Entry<'_>], &str); 18] = [
        (&[d1], &[d1], ""),
        (&[], &[d1], "d1"),
        // A rename, which git would tell as one path.
        (&[d1], &[(FILE, b"devices/d2/base_system.yml", NTP)], "d1 d2"),
        (
            &[(FILE, b"access/a.yml", NTP)],
            &[(FILE, b"dist/a.yml", NTP)],
            "a1 a2 d1 d2",
        ),
        // Names that trip a split at white space, and git's quoting.
        (&[], &[(FILE, b"devices/d2/x global/y.txt", "")], "d2"),
        (&[], &[(FILE, b"devices/d1/x\nglobal/y.txt", "")], "d1"),
        (&[], &[(FILE, "devices/d1/räume.yml".as_bytes(), NTP)], "d1"),
        (&[], &[(FILE, b"devices/d1/\xff\xfe.txt", "")], "d1"),
        (&[], &[(FILE, b"devices/d1/\"quoted\".txt", "")], "d1"),
        // Kinds of entries.
        (&[d1], &[("100755", d1.1, NTP)], "d1"),
        (
            &[d1],
            &[d1, (FILE, b"devices/c1/photo.png", "\u{0}\u{1}PNG")],
            "c1",
        ),
        (&[d1], &[d1, ("160000", b"devices/c1/vendor", commit)], "c1"),
        (
            &[
                ("120000", b"devices/c1/base_system.yml", "../d1/base_system.yml"),
                d1,
            ],
            &[
                ("120000", b"devices/c1/base_system.yml", "../d1/base_system.yml"),
                (FILE, d1.1, ""),
            ],
            "c1 d1",
        ),
        (&[], &[(FILE, b"global/base_system.yml", NTP)], "a1 a2 c1 d1 d2"),
        (
            &[],
            &[(FILE, b"global/x.yml", ""), (FILE, b"devices/fw1/x.yml", "")],
            "a1 a2 c1 d1 d2 fw1",
        ),
        (
            &[],
            &[(FILE, b"fabric/x.yml", ""), (FILE, b"firewall/x.yml", "")],
            "c1 d1 d2 fw1",
        ),
        (
            &[(FILE, b"global/groups.yml", GROUPS)],
            &[
                (FILE, b"global/groups.yml", GROUPS),
                (FILE, b"groups/SECOND/x.yml", ""),
            ],
            "a2 d2",
        ),
        (&[], &[(FILE, b"README.md", ""), (FILE, b"docs/x.yml", "]")], ""),
    ];
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("fleet.yml"), FLEET)?;
    for (old, new, expected) in table {
        let repository = Repository::new()?;
        let (from, to) = (repository.commit(old)?, repository.commit(new)?);
        let git = repository.path().to_str().context("a path")?;
        let arguments = [
            "--repository",
            "settings",
            "--git",
            git,
            "--from",
            &from,
            "--to",
            &to,
            "--inventory",
            "fleet.yml",
        ];
        let (code, value, stderr) = judged(folder.path(), &arguments)?;
        ensure!(code == Some(0), "{new:?}: {stderr}");
        ensure!(names(&value["devices"]) == expected, "{old:?} {new:?}: {value}");
    }
    Ok(())
}

#[test]
fn broken_settings_are_told_with_their_places() -> Result<()> {
    let repository = Repository::new()?;
    repository.commit(&[(FILE, b"access/a.yml", NTP)])?;
    repository.commit(&[
        (FILE, b"access/a.yml", "ntp_server: []\n"),
        (FILE, b"devices/d1/\xffx.yml", "a:\n\t- 1\n"),
        (
            FILE,
            b"global/groups.yml",
            "groups:\n- group: {name: A, regex: '('}\n",
        ),
        ("120000", b"dist/a.yml", "/etc/passwd"),
    ])?;
    let git = repository.path().to_str().context("a path")?;
    let arguments = [
        "--repository",
        "settings",
        "--git",
        git,
        "--from",
        "main~1",
        "--to",
        "main",
    ];
    let (code, value, stderr) = judged(repository.path(), &arguments)?;
    ensure!(code == Some(1), "{code:?}");
    for expected in [
        "access/a.yml:1:1: unknown key ntp_server; did you mean ntp_servers?\n",
        "devices/d1/\\xffx.yml:2:",
        "global/groups.yml:2:17: the regex of group A cannot be read: ",
        "dist/a.yml: is a link to \"/etc/passwd\", which is outside of the repository",
        "lockstep: the repository is broken",
    ] {
        ensure!(stderr.contains(expected), "{expected}: {stderr}");
    }
    ensure!(value["devices"] == json!([]) && value["problems"].as_array().is_some_and(|all| all.len() == 4));
    let first = json!({"file": "access/a.yml", "line": 1, "column": 1, "reason": "unknown key ntp_server; did you mean ntp_servers?"});
    ensure!(value["problems"][0] == first, "{value}");
    // The way back is no problem: what is broken goes away.
    let back = [
        "--repository",
        "settings",
        "--git",
        git,
        "--from",
        "main",
        "--to",
        "main~1",
    ];
    let (code, value, stderr) = judged(repository.path(), &back)?;
    ensure!(code == Some(0), "{stderr}");
    ensure!(
        value["device_types"] == json!(["ACCESS", "CORE", "DIST"]),
        "{value}"
    );
    Ok(())
}

#[test]
fn a_bound_on_devices_decides_the_exit_code() -> Result<()> {
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
        stderr(&output) == "2 of 7 devices would be un-synchronized\n",
        "{}",
        stderr(&output)
    );
    let output = ask("1")?;
    ensure!(output.status.code() == Some(1) && output.stdout == expected.as_bytes());
    ensure!(stderr(&output).contains("2 devices would be un-synchronized, --max-devices allows 1"));
    Ok(())
}

#[test]
fn paths_alone_will_do() -> Result<()> {
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
                "reason": "no such group in global/groups.yml, as far as it is known here"}]}),
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
            json!({"devices": [], "problems": [{"file": "junos/mapping.yml", "line": 1, "column": 1, "reason": "is no YAML: misplaced bracket"}]}),
        ),
        (
            "templates --path iosxr/mapping.yml --templates templates",
            0,
            json!({"platforms": [["ACCESS", "iosxr"], ["CORE", "iosxr"], ["DIST", "iosxr"], ["FIREWALL", "iosxr"], ["UNKNOWN", "iosxr"]]}),
        ),
    ];
    for (line, expected_code, expected) in table {
        let arguments: Vec<&str> = ["--repository"].into_iter().chain(line.split(' ')).collect();
        let (code, value, stderr) = judged(folder.path(), &arguments)?;
        ensure!(code == Some(expected_code), "{line}: {stderr}");
        for (key, expected) in expected.as_object().context("a map")? {
            ensure!(value[key] == *expected, "{line}: {key}: {value}");
        }
    }
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() -> Result<()> {
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
            "\"wiki\" is no repository: settings or templates",
        ),
        ("--repository settings --path x --git .", 2, "cannot be used with"),
        ("--repository settings --git . --from main", 2, "--to"),
        (
            "--repository settings --path /x",
            2,
            "leave out the slash in front",
        ),
        (
            "--repository settings --path x --settings none",
            2,
            "none is no folder",
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
            "cannot find gone in .; where it is there upstream, fetch it",
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
        let said = stderr(&output);
        ensure!(
            output.status.code() == Some(code),
            "{line}: {} {said}",
            output.status
        );
        ensure!(said.contains(expected), "{line}: {said}");
        ensure!(output.stdout.is_empty(), "{line}");
    }
    ensure!(!repository.path().join("written").exists());
    Ok(())
}

#[test]
fn a_hook_of_another_repository_does_not_lead_astray() -> Result<()> {
    let (here, elsewhere) = (Repository::new()?, Repository::new()?);
    here.commit(&[])?;
    here.commit(&[(FILE, b"devices/d1/x.txt", "")])?;
    elsewhere.commit(&[])?;
    let git = here.path().to_str().context("a path")?;
    let arguments = [
        "--repository",
        "settings",
        "--git",
        git,
        "--from",
        "main~1",
        "--to",
        "main",
        "--json",
    ];
    let other = elsewhere.path().to_str().context("a path")?;
    let output = affected(
        elsewhere.path(),
        &arguments,
        &[("GIT_DIR", other), ("GIT_INDEX_FILE", "none")],
    )?;
    let value: Value = serde_json::from_slice(&output.stdout).with_context(|| stderr(&output))?;
    ensure!(names(&value["devices"]) == "d1", "{value}");
    Ok(())
}

/// More than a pipe holds, in both directions.
#[test]
fn many_files_are_read_in_one_go() -> Result<()> {
    let repository = Repository::new()?;
    let files: Vec<(String, String)> = (0..3000)
        .map(|number| {
            (
                format!("devices/sw{number}/a.yml"),
                format!(
                    "ntp_servers: [{{host: sw{number}.example.org}}] # {}\n",
                    "x".repeat(200)
                ),
            )
        })
        .collect();
    // One commit without git processes a file each.
    let mut stream = b"commit refs/heads/main\ncommitter x <x@example.org> 0 +0000\ndata 1\nx\n".to_vec();
    for (path, text) in &files {
        stream.extend_from_slice(format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()).as_bytes());
    }
    repository.git(&["fast-import", "--quiet"], &stream)?;
    let git = repository.path().to_str().context("a path")?;
    let empty = repository.git(&["hash-object", "-t", "tree", "-w", "--stdin"], b"")?;
    let arguments = [
        "--repository",
        "settings",
        "--git",
        git,
        "--from",
        &empty,
        "--to",
        "main",
    ];
    let (code, value, stderr) = judged(repository.path(), &arguments)?;
    ensure!(code == Some(0), "{stderr}");
    ensure!(value["devices"].as_array().map(Vec::len) == Some(3000));
    Ok(())
}
