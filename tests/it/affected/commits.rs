//! `lockstep affected` on two commits: which devices their difference concerns, and which files of the second one are invalid.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::repository::{Entry, Repository, affected};
use super::{FILE, FLEET, GROUPS, NTP, run_json, stderr};

#[test]
fn the_difference_of_two_commits_decides() -> Result<()> {
    let d1: Entry<'_> = (FILE, b"devices/d1/base_system.yml", NTP);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let table: [(&[Entry<'_>], &[Entry<'_>], &str); 18] = [
        (&[d1], &[d1], ""),
        (&[], &[d1], "d1"),
        // A rename, which git could report as one path.
        (&[d1], &[(FILE, b"devices/d2/base_system.yml", NTP)], "d1 d2"),
        (
            &[(FILE, b"access/a.yml", NTP)],
            &[(FILE, b"dist/a.yml", NTP)],
            "a1 a2 d1 d2",
        ),
        // Names that break splitting at white space or git's quoting.
        (&[], &[(FILE, b"devices/d2/x global/y.txt", "")], "d2"),
        (&[], &[(FILE, b"devices/d1/x\nglobal/y.txt", "")], "d1"),
        (&[], &[(FILE, "devices/d1/räume.yml".as_bytes(), NTP)], "d1"),
        (&[], &[(FILE, b"devices/d1/\xff\xfe.txt", "")], "d1"),
        (&[], &[(FILE, b"devices/d1/\"quoted\".txt", "")], "d1"),
        // Modes of entries.
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
        let (code, value, stderr) = run_json(folder.path(), &arguments)?;
        ensure!(code == Some(0), "{new:?}: {stderr}");
        ensure!(names(&value["devices"]) == expected, "{old:?} {new:?}: {value}");
    }
    Ok(())
}

#[test]
fn invalid_settings_are_reported_with_their_positions() -> Result<()> {
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
    let (code, value, stderr) = run_json(repository.path(), &arguments)?;
    ensure!(code == Some(1), "{code:?}");
    for expected in [
        "access/a.yml:1:1: unknown key ntp_server; did you mean ntp_servers?\n",
        "devices/d1/\\xffx.yml:2:",
        "global/groups.yml:2:17: the regex of group A is invalid: ",
        "dist/a.yml: is a link to \"/etc/passwd\", which is outside of the repository",
        "\"message\":\"the repository is invalid",
    ] {
        ensure!(stderr.contains(expected), "{expected}: {stderr}");
    }
    ensure!(value["devices"] == json!([]) && value["problems"].as_array().is_some_and(|all| all.len() == 4));
    let first = json!({"file": "access/a.yml", "line": 1, "column": 1, "reason": "unknown key ntp_server; did you mean ntp_servers?"});
    ensure!(value["problems"][0] == first, "{value}");
    // The opposite direction has no problems: the invalid files are removed.
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
    let (code, value, stderr) = run_json(repository.path(), &back)?;
    ensure!(code == Some(0), "{stderr}");
    ensure!(
        value["device_types"] == json!(["ACCESS", "CORE", "DIST"]),
        "{value}"
    );
    Ok(())
}

#[test]
fn environment_variables_of_a_git_hook_are_ignored() -> Result<()> {
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

/// More data than a pipe buffers, in both directions.
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
    // One commit by one git process, instead of one process per file.
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
    let (code, value, stderr) = run_json(repository.path(), &arguments)?;
    ensure!(code == Some(0), "{stderr}");
    ensure!(value["devices"].as_array().map(Vec::len) == Some(3000));
    Ok(())
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
