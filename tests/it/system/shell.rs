//! Commands of documents and help texts, as a user types them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs a script in a shell that finds `lockstep`, in this folder, and returns its output.
pub(crate) fn shell(folder: &Path, script: &str) -> Result<String> {
    let lockstep = Path::new(env!("CARGO_BIN_EXE_lockstep"));
    let programs = lockstep.parent().context("a folder")?;
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    let mut command = Command::new("bash");
    command
        .current_dir(folder)
        .arg("-euo")
        .arg("pipefail")
        .arg("-c")
        .arg(script);
    command.env_clear().env("PATH", path).env("HOME", folder);
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "nobody")
            .env(format!("GIT_{who}_EMAIL"), "nobody@example.org");
    }
    let output = command.output()?;
    let (out, err) = (
        String::from_utf8(output.stdout)?,
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{script}\n{out}{err}");
    Ok(out)
}
