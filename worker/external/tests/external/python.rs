//! The Python package: its own tests, and its types.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

const MYPY: &[&str] = &["mypy==1.18.2"];

pub(crate) fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

fn passes(command: &mut Command) -> Result<()> {
    let output = command
        .current_dir(package())
        .env("PYTHONPATH", package().join("src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn the_package_passes_its_tests() -> Result<()> {
    passes(Command::new("python3").args(["-m", "unittest", "discover", "tests"]))
}

#[test]
fn the_package_is_typed() -> Result<()> {
    let python = lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), MYPY)?;
    let cache = tempfile::tempdir()?;
    let mypy = ["-m", "mypy", "--strict", "--python-version", "3.9", "--cache-dir"];
    let checked = ["src", "tests", "../examples/tcp_port.py"];
    passes(Command::new(python).args(mypy).arg(cache.path()).args(checked))
}
