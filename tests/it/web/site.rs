//! A site with something on every page.

use std::path::Path;

use anyhow::{Context, Result};
use lockstep_testbed::free_port;
use serde_json::Value;

use crate::system::{Process, shell};

/// Repositories, and a configuration whose addresses follow.
const REPOSITORIES: &str = include_str!("repositories.sh");
/// Devices, tasks, a dead letter, a sweep and a push.
const CONTENTS: &str = include_str!("contents.sh");

/// `lockstep up` with simulated devices and a simulated CloudVision.
pub(super) struct Site {
    folder: tempfile::TempDir,
    up: Process,
    fleet: Process,
    cvp: Process,
}

impl Site {
    pub(super) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (devices, clusters) = (free_port()?, free_port()?);
        let listen = format!("127.75.0.1:{devices}");
        let fleet = [
            "simulate",
            "fleet",
            "--devices",
            "12",
            "--latency",
            "150",
            "--listen",
            &listen,
            "--ca-out",
            "fleet-ca.pem",
            "--inventory-out",
            "fleet.yml",
        ];
        let fleet = Process::start(folder.path(), &fleet, &[])?;
        let listen = format!("127.76.0.1:{clusters}");
        let cvp = [
            "simulate",
            "cvp",
            "--seed-scenario",
            "--listen",
            &listen,
            "--ca-out",
            "cvp-ca.pem",
        ];
        let cvp = Process::start(folder.path(), &cvp, &[])?;
        fleet.prints("12 simulated devices listen").await?;
        cvp.prints("CVP_").await?;
        shell(
            folder.path(),
            &format!("DEVICES={devices} CLUSTER=127.76.0.1:{clusters}\n{REPOSITORIES}"),
        )?;
        let up = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
        let up = Process::start(folder.path(), &up, &[])?;
        up.prints("lockstep is up").await?;
        shell(folder.path(), CONTENTS)?;
        Ok(Self {
            folder,
            up,
            fleet,
            cvp,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Address and token of the console.
    pub(super) fn console(&self) -> Result<(String, String)> {
        let console = std::fs::read_to_string(self.folder().join("lockstep-data/console.json"))?;
        let console: Value = serde_json::from_str(&console)?;
        let text = |key: &str| Some(console[key].as_str()?.to_owned());
        Ok((
            text("url").context("no address")?,
            text("token").context("no token")?,
        ))
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.up.stop().await?;
        self.fleet.stop().await?;
        self.cvp.stop().await
    }
}
