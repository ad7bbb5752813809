//! Runs the same on devices by Nornir 3; see `nornir/devices.py`.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use lockstep_simulators::fleet::Options;
use serde::Deserialize;
use tokio::process::Command;

use super::Fleet;
use crate::processes::target_folder;

const PACKAGES: [&str; 2] = ["nornir==3.6.0", "pyeapi==1.0.4"];

/// A Python with Nornir.
pub(super) struct Nornir {
    python: PathBuf,
}

#[derive(Deserialize)]
struct Measured {
    seconds: f64,
    done: u32,
}

impl Nornir {
    /// Makes a virtual environment in the target folder, unless it is there.
    ///
    /// # Errors
    /// There is no Python, or PyPI cannot be reached.
    pub(super) fn install() -> anyhow::Result<Self> {
        let python = lockstep_testbed::python_with(&target_folder()?, &PACKAGES)?;
        Ok(Self { python })
    }

    /// Asks each device for its version, with 256 threads. Returns devices in a second, without the start of Python.
    ///
    /// # Errors
    /// A device did not answer.
    pub(super) async fn measure(&self, fleet: &Fleet) -> anyhow::Result<f64> {
        let Options {
            username, password, ..
        } = Options::default();
        let first = fleet.addresses().next().context("no device")?;
        let output = Command::new(&self.python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/nornir/devices.py"))
            .args([
                first.to_string(),
                fleet.devices.to_string(),
                fleet.access.port.to_string(),
            ])
            .arg(&fleet.access.ca_file)
            .env("BENCH_USERNAME", username)
            .env("BENCH_PASSWORD", password)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output()
            .await?;
        ensure!(output.status.success(), "Nornir failed: {}", output.status);
        let measured: Measured = serde_json::from_slice(&output.stdout)?;
        ensure!(measured.done == fleet.devices, "{} devices", measured.done);
        Ok(f64::from(measured.done) / measured.seconds)
    }
}
