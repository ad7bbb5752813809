//! `lockstep affected --rendered`: which configurations differ before and after a change.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{copy, lockstep, text};

fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = std::process::Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
        .args(arguments);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let output = command.output().context("cannot run git")?;
    ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        text(&output.stderr)
    );
    Ok(())
}

/// The campus with one of its folders as a repository whose last commit changed these files.
fn changed(repository: &str, files: &[(&str, &str)]) -> Result<tempfile::TempDir> {
    let folder = copy()?;
    let root = folder.path().join(repository);
    git(&root, &["init", "--quiet", "--initial-branch=main"])?;
    git(&root, &["add", "."])?;
    git(&root, &["commit", "--quiet", "-m", "before"])?;
    for (path, content) in files {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().context("a file has a folder")?)?;
        std::fs::write(file, content)?;
    }
    git(&root, &["add", "."])?;
    git(&root, &["commit", "--quiet", "-m", "after"])?;
    Ok(folder)
}

const CHANGE: [&str; 9] = [
    "affected",
    "--from",
    "HEAD~1",
    "--to",
    "HEAD",
    "--inventory",
    "fleet.yml",
    "--rendered",
    "--json",
];

fn compared(folder: &Path, repository: &str, other: &str, more: &[&str]) -> Result<Value> {
    let other_option = format!("--{other}");
    let arguments = [
        "--repository",
        repository,
        "--git",
        repository,
        &other_option,
        other,
    ];
    let output = lockstep(folder, &[&CHANGE[..], &arguments, more].concat())?;
    serde_json::from_slice(&output.stdout).with_context(|| text(&output.stderr))
}

#[test]
fn of_the_devices_concerned_those_with_another_configuration_are_named() -> Result<()> {
    // All devices are concerned; the group of Berlin has its own NTP servers, and the type CORE has no template.
    let ntp = "ntp_servers: [{host: 10.0.0.9}]\nusers: [{username: admin, ssh_key: ssh-ed25519 AAAA admin}, {username: berlin, groups: [BERLIN]}]\n\
               syslog_servers: [{host: 10.0.0.3, port: 6514}]\ndomain_name: campus.example.org\nbanner_login: |\n  Authorized access only.\n  EOF\n";
    let folder = changed("settings", &[("global/base_system.yml", ntp)])?;
    let found = compared(folder.path(), "settings", "templates", &[])?;
    ensure!(
        found["devices"] == json!(["a1", "a2", "c1", "d1", "d2"]),
        "{found}"
    );
    let rendered = &found["rendered"];
    ensure!(rendered["changed"] == json!([]), "{rendered}");
    ensure!(
        rendered["unchanged"] == json!(["a1", "a2", "d1", "d2"]),
        "{rendered}"
    );
    ensure!(rendered["failed"][0]["hostname"] == "c1", "{rendered}");
    let error = rendered["failed"][0]["error"].as_str().unwrap_or_default();
    ensure!(
        error.contains("eos/mapping.yml: has no entrypoint for CORE"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_difference_is_shown_as_a_unified_diff_without_secrets() -> Result<()> {
    let folder = changed(
        "settings",
        &[(
            "groups/BERLIN/base_system.yml",
            "ntp_servers: [{host: 10.30.0.7}]\n",
        )],
    )?;
    let found = compared(folder.path(), "settings", "templates", &["--diff", "a1"])?;
    ensure!(
        found["rendered"]["changed"] == json!(["a1", "a2", "d1", "d2"]),
        "{found}"
    );
    let diff = found["rendered"]["diff"].as_str().unwrap_or_default();
    let expected = "--- a1 before\n+++ a1 after\n@@ -1,7 +1,7 @@\n";
    ensure!(diff.starts_with(expected), "{diff}");
    ensure!(
        diff.contains("-ntp server 10.30.0.1\n+ntp server 10.30.0.7\n") && !diff.contains("hush"),
        "{diff}"
    );
    Ok(())
}

#[test]
fn a_change_of_the_templates_is_compared_too_and_a_template_that_breaks_fails() -> Result<()> {
    let base = std::fs::read_to_string(super::campus().join("templates/eos/shared/base.j2"))?;
    let folder = changed(
        "templates",
        &[("eos/shared/base.j2", &base.replace("ntp server", "ntp  server"))],
    )?;
    let found = compared(folder.path(), "templates", "settings", &[])?;
    ensure!(
        found["rendered"]["changed"] == json!(["a1", "a2", "d1", "d2"]),
        "{found}"
    );
    let folder = changed("templates", &[("eos/dist.j2", "{% if %}\n")])?;
    let found = compared(folder.path(), "templates", "settings", &[])?;
    let failed = found["rendered"]["failed"].as_array().context("a list")?;
    ensure!(failed.len() == 2 && failed[0]["hostname"] == "d1", "{found}");
    ensure!(
        failed[0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("dist.j2:1")),
        "{found}"
    );
    Ok(())
}

#[test]
fn the_folder_of_the_other_repository_is_needed() -> Result<()> {
    let folder = changed("settings", &[("global/base_system.yml", "ntp_servers: []\n")])?;
    let base = [
        "affected",
        "--repository",
        "settings",
        "--git",
        "settings",
        "--from",
        "HEAD~1",
        "--to",
        "HEAD",
    ];
    let table: [(&[&str], &str); 5] = [
        (
            &["--inventory", "fleet.yml", "--rendered"],
            "--rendered needs --templates DIR",
        ),
        (&["--rendered", "--templates", "templates"], "--inventory"),
        (
            &["--templates", "templates"],
            "with --git, --templates is for --rendered",
        ),
        (
            &["--settings", "settings"],
            "--settings cannot be used with --git",
        ),
        (&["--diff", "a1"], "--rendered"),
    ];
    for (more, expected) in table {
        let output = lockstep(folder.path(), &[&base[..], more].concat())?;
        ensure!(output.status.code() == Some(2), "{more:?}: {output:?}");
        ensure!(
            text(&output.stderr).contains(expected),
            "{more:?}: {}",
            text(&output.stderr)
        );
    }
    Ok(())
}
