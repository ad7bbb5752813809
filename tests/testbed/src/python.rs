//! Makes Python environments with packages, for checks by independent implementations in Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};

/// The interpreter of a virtual environment with exactly these packages (`name==version`), made once in `folder` and kept
/// there. It is made in a temporary folder and then moved, because two test runs may do so at once.
///
/// # Errors
///
/// `python3 -m venv` does not work, or a package cannot be installed; the error says what to do.
pub fn python_with(folder: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    environment(folder, packages, &[])
}

/// The same without what the packages require, which some need in parts only that are not used.
///
/// # Errors
///
/// See [`python_with`].
pub fn python_with_only(folder: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    environment(folder, packages, &["--no-deps"])
}

/// The folder in which the packages of an interpreter are installed.
///
/// # Errors
///
/// The interpreter cannot be run.
pub fn installed_packages(python: &Path) -> anyhow::Result<PathBuf> {
    let script = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = run(Command::new(python).args(["-c", script]))?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn environment(folder: &Path, packages: &[&str], options: &[&str]) -> anyhow::Result<PathBuf> {
    let place = folder.join(packages.join("-").replace("==", "-"));
    let python = place.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    let fresh = place.with_extension(std::process::id().to_string());
    run(Command::new("python3").args(["-m", "venv"]).arg(&fresh))
        .context("make a virtual environment; apt-get install python3-venv if that is missing")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(fresh.join("bin/python"))
        .args(pip)
        .args(options)
        .args(packages))?;
    if std::fs::rename(&fresh, &place).is_err() {
        ensure!(python.exists(), "{} cannot be made", place.display());
        std::fs::remove_dir_all(&fresh)?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?}: {}: {errors}",
        output.status
    );
    Ok(output)
}
