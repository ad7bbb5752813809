//! Makes folders with packages of npm, for checks by independent implementations in JavaScript.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The folder `node_modules` with these packages (`name@version`) and what they require, made once in `folder` and kept there.
/// It is made in a temporary folder and then moved, because two test runs may do so at once. Scripts of the packages are not run.
///
/// A script imports the packages if a link `node_modules` to this folder is beside it.
///
/// # Errors
///
/// `npm install` does not work; the error says what it printed.
pub fn node_with(folder: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let name = packages.join("-").replace(['@', '/'], "-");
    let place = folder.join(format!("npm{name}"));
    let modules = place.join("node_modules");
    if modules.exists() {
        return Ok(modules);
    }
    let fresh = tempfile::Builder::new().prefix("npm-").tempdir_in(folder)?;
    // Without it, npm installs into the next folder above that has one.
    std::fs::write(fresh.path().join("package.json"), r#"{"private": true}"#)?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--save-exact",
    ])
    .args(packages)
    .current_dir(fresh.path());
    let output = npm
        .output()
        .context("run npm; apt-get install nodejs npm if that is missing")?;
    ensure!(
        output.status.success(),
        "{npm:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    if std::fs::rename(fresh.path(), &place).is_err() {
        ensure!(modules.exists(), "{} cannot be made", place.display());
    }
    Ok(modules)
}
