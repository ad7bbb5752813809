//! Another build of this program as a contender. It starts servers of its own and fills its own schema, so that it may be of a version
//! with other tables.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::latency::{Latencies, Percentiles};
use crate::meter::{Cpu, Measured};

/// The program of the other build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtherBuild<'a>(pub(crate) &'a Path);

/// What all versions print.
#[derive(Debug, Deserialize)]
struct Printed {
    rows: Vec<PrintedRow>,
    cpu: Vec<PrintedCpu>,
}

#[derive(Debug, Deserialize)]
struct PrintedRow {
    what: String,
    lockstep: f64,
}

#[derive(Debug, Deserialize)]
struct PrintedCpu {
    who: String,
    rate: f64,
    batch: f64,
    worker: f64,
    broker: f64,
    database: f64,
}

impl OtherBuild<'_> {
    /// Measures one round of throughput.
    ///
    /// # Errors
    /// It fails, or prints something else.
    pub(crate) async fn throughput(self, events: u32, devices: u32) -> anyhow::Result<Measured> {
        let printed: Printed = self
            .run(&[
                "--only",
                "throughput",
                "--events",
                &events.to_string(),
                "--devices",
                &devices.to_string(),
            ])
            .await?;
        let cpu = printed.cpu.iter().find(|row| row.who == "Lockstep");
        let cpu = cpu.context("the other build printed no CPU time of Lockstep")?;
        let used = |micros: f64| Duration::from_secs_f64(micros * 1e-6 * f64::from(events));
        // A count of batches is a whole number below that of messages.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "see above"
        )]
        let batches = (f64::from(events) / cpu.batch).round() as u32;
        Ok(Measured {
            messages: events,
            batches,
            wall: Duration::from_secs_f64(f64::from(events) / cpu.rate),
            cpu: Cpu {
                worker: used(cpu.worker),
                broker: used(cpu.broker),
                database: used(cpu.database),
            },
            wal: None,
            allocations: None,
        })
    }

    /// Measures one round of latency.
    ///
    /// # Errors
    /// It fails, or prints something else.
    pub(crate) async fn latency(self, devices: u32) -> anyhow::Result<Latencies> {
        let printed: Printed = self
            .run(&["--only", "latency", "--devices", &devices.to_string()])
            .await?;
        let find = |what: &str| -> anyhow::Result<Duration> {
            let row = printed.rows.iter().find(|row| row.what == what);
            let row = row.with_context(|| format!("the other build printed no {what}"))?;
            Ok(Duration::from_secs_f64(row.lockstep * 1e-3))
        };
        Ok(Latencies {
            idle: Percentiles {
                p50: find("latency idle, p50")?,
                p99: find("latency idle, p99")?,
            },
            loaded: Percentiles {
                p50: find("latency at 1,000 events/s, p50")?,
                p99: find("latency at 1,000 events/s, p99")?,
            },
        })
    }

    async fn run<T: DeserializeOwned>(self, arguments: &[&str]) -> anyhow::Result<T> {
        let output = Command::new(self.0)
            .args(arguments)
            .args(["--rounds", "1", "--json"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("start {}", self.0.display()))?;
        ensure!(
            output.status.success(),
            "{} {arguments:?}: {}",
            self.0.display(),
            output.status
        );
        serde_json::from_slice(&output.stdout).context("read what the other build printed")
    }
}
