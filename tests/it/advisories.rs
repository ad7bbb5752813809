//! `.ci/advisories`, with a `cargo` that only pretends: an advisory fails, a database that cannot be had is reported.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};

/// Runs the script with a `cargo` that does this for `cargo deny … fetch` and for `cargo deny … check`.
fn run(fetch: &str, check: &str) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let cargo = folder.path().join("cargo");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *' fetch db') {fetch};; *' advisories') {check};; *) exit 9;; esac\n"
    );
    std::fs::write(&cargo, script)?;
    std::fs::set_permissions(&cargo, PermissionsExt::from_mode(0o755))?;
    let advisories = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/advisories");
    let output = Command::new(advisories)
        .arg("1")
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .output()?;
    Ok(output)
}

#[test]
fn an_advisory_fails_and_a_missing_database_is_reported() -> Result<()> {
    let cases = [
        ("exit 0", "exit 0", true, ""),
        ("exit 0", "exit 1", false, ""),
        // The database cannot be fetched, or not in time.
        ("exit 1", "exit 1", true, "NOT CHECKED"),
        ("exec sleep 600", "exit 1", true, "NOT CHECKED"),
    ];
    for (fetch, check, succeeds, said) in cases {
        let output = run(fetch, check)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() == succeeds && errors.contains(said),
            "{fetch}, {check}: {output:?}"
        );
    }
    Ok(())
}
