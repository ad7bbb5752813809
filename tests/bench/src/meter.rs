//! Measures wall time, and the CPU time of all participating processes.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::allocations::Allocations;
use crate::processes::cpu_time;

/// Process ids of the servers whose CPU time counts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Servers {
    #[arg(long)]
    pub(crate) broker: u32,
    #[arg(long)]
    pub(crate) database: u32,
}

/// The CPU time of each participant.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cpu {
    pub(crate) worker: Duration,
    pub(crate) broker: Duration,
    pub(crate) database: Duration,
}

impl Cpu {
    /// Reads the CPU time used so far; the worker is this process or another one.
    ///
    /// # Errors
    /// One of the processes does not exist.
    pub(crate) fn now(worker: u32, servers: Servers) -> anyhow::Result<Self> {
        Ok(Self {
            worker: cpu_time(worker)?,
            broker: cpu_time(servers.broker)?,
            database: cpu_time(servers.database)?,
        })
    }

    /// The CPU time used since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            worker: self.worker.saturating_sub(earlier.worker),
            broker: self.broker.saturating_sub(earlier.broker),
            database: self.database.saturating_sub(earlier.database),
        }
    }
}

/// The measurement of a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) messages: u32,
    pub(crate) batches: u32,
    pub(crate) wall: Duration,
    pub(crate) cpu: Cpu,
    /// `None` if the bench does not count them.
    pub(crate) allocations: Option<Allocations>,
}

impl Measured {
    /// Messages per second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.messages) / self.wall.as_secs_f64()
    }

    /// CPU time per message, in microseconds.
    pub(crate) fn per_message(&self, cpu: impl Fn(&Cpu) -> Duration) -> f64 {
        cpu(&self.cpu).as_secs_f64() * 1e6 / f64::from(self.messages)
    }
}

/// A running measurement in this process.
#[derive(Debug)]
pub(crate) struct Meter {
    servers: Servers,
    began: Instant,
    cpu: Cpu,
    allocations: Option<Allocations>,
}

impl Meter {
    /// Starts the measurement.
    ///
    /// # Errors
    /// A server process does not exist.
    pub(crate) fn start(servers: Servers) -> anyhow::Result<Self> {
        let cpu = Cpu::now(std::process::id(), servers)?;
        Ok(Self {
            servers,
            began: Instant::now(),
            cpu,
            allocations: Allocations::now(),
        })
    }

    /// Ends the measurement.
    ///
    /// # Errors
    /// A server process does not exist.
    pub(crate) fn stop(&self, messages: u32, batches: u32) -> anyhow::Result<Measured> {
        let wall = self.began.elapsed();
        let allocations = Allocations::now().zip(self.allocations);
        let cpu = Cpu::now(std::process::id(), self.servers)?;
        Ok(Measured {
            messages,
            batches,
            wall,
            cpu: cpu.since(self.cpu),
            allocations: allocations.map(|(now, earlier)| now.since(earlier)),
        })
    }
}
