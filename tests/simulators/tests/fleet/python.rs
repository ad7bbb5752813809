//! Runs scripts in Python with clients of other projects.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_simulators::fleet::{FleetSimulator, Options};
use serde_json::Value;

/// Runs a script of this folder with these packages, which verifies the certificates of the devices, and returns what it saw.
pub(crate) async fn run(fleet: &FleetSimulator, script: &str, packages: &'static [&str]) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, fleet.ca_pem())?;
    let addresses = fleet.addresses();
    let hosts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let port = addresses[0].port().to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fleet")
        .join(script);
    let Options {
        username, password, ..
    } = Options::default();
    let output = tokio::task::spawn_blocking(move || -> Result<_> {
        let python = lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), packages)?;
        let output = Command::new(python)
            .arg(script)
            .env("EAPI_HOSTS", hosts.join(","))
            .env("EAPI_PORT", port)
            .env("EAPI_CA", ca)
            .env("EAPI_USERNAME", username)
            .env("EAPI_PASSWORD", password)
            .output()?;
        Ok(output)
    })
    .await??;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).context("the script prints JSON")
}
