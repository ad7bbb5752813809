use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use lockstep_bus::{Bus, BusStatus};
use lockstep_protocol::DeviceState;
use lockstep_telemetry::{BrokerSample, DevicesSample, FleetSample, Pool, Sample, Sampler, StoreSample};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::unavailable::PING_TIMEOUT;
use lockstep_store::{Schema, Stats, StoreError, Summary};

/// How long an answer of the store is reused.
const FRESH: Duration = Duration::from_secs(10);
/// How long the store may take to summarize the fleet.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(5);

/// How the store of a process is sampled.
#[derive(Clone, Debug)]
pub enum StoreProbe {
    /// By a ping: whether it answers.
    Ping(Arc<dyn Schema>, Arc<dyn Stats>),
    /// By a summary of the fleet, which shows that it answers too. A summary reads all devices: let one process do it, not
    /// each worker.
    Fleet(Arc<dyn Stats>),
}

/// Samples the broker and the store of a process.
#[derive(Debug)]
pub struct ProcessSampler {
    bus: Arc<dyn Bus>,
    store: Option<StoreProbe>,
    /// The last answer of the store. Locked during a query, so that concurrent scrapes wait for one answer.
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    at: Instant,
    up: bool,
    summary: Option<Summary>,
}

impl ProcessSampler {
    /// Samples this bus, and the store where the process has one.
    pub fn new(bus: Arc<dyn Bus>, store: Option<StoreProbe>) -> Self {
        Self {
            bus,
            store,
            cached: Mutex::new(None),
        }
    }

    fn broker(&self) -> BrokerSample {
        let (status, figures) = (self.bus.status(), self.bus.figures());
        let publishing = match status {
            BusStatus::Connected | BusStatus::Blocked => true,
            BusStatus::Disconnected | BusStatus::Closed => false,
        };
        BrokerSample {
            connected: publishing && figures.consuming,
            blocked: status == BusStatus::Blocked,
            channels: figures.channels.map(|channels| Pool {
                limit: channels.limit,
                open: channels.open,
                idle: channels.idle,
                waiting: channels.waiting,
            }),
            bypassed: figures.bypassed,
        }
    }
}

#[async_trait]
impl Sampler for ProcessSampler {
    async fn sample(&self) -> Sample {
        let broker = Some(self.broker());
        let Some(store) = &self.store else {
            return Sample {
                broker,
                ..Sample::default()
            };
        };
        let mut cached = self.cached.lock().await;
        let fresh = cached.take().filter(|answer| answer.at.elapsed() < FRESH);
        let answer = cached.insert(match fresh {
            Some(answer) => answer,
            None => store.query().await,
        });
        Sample {
            broker,
            store: Some(StoreSample {
                up: answer.up,
                sessions: Some(store.sessions()),
            }),
            fleet: answer
                .summary
                .as_ref()
                .map(|summary| fleet(summary, answer.at.elapsed())),
        }
    }
}

impl StoreProbe {
    async fn query(&self) -> Cached {
        let answer = match self {
            Self::Ping(schema, _) => timeout(PING_TIMEOUT, schema.ping())
                .await
                .map(|ping| ping.map(|()| None)),
            Self::Fleet(stats) => timeout(SUMMARY_TIMEOUT, stats.summary())
                .await
                .map(|summary| summary.map(Some)),
        };
        let answer: Option<Result<Option<Summary>, StoreError>> = answer.ok();
        if let Some(Err(error)) = &answer {
            tracing::debug!(
                error = error as &dyn std::error::Error,
                "the store cannot be sampled"
            );
        }
        let answer = answer.and_then(Result::ok);
        Cached {
            at: Instant::now(),
            up: answer.is_some(),
            summary: answer.flatten(),
        }
    }

    fn sessions(&self) -> Pool {
        let (Self::Ping(_, stats) | Self::Fleet(stats)) = self;
        let sessions = stats.sessions();
        Pool {
            limit: sessions.limit,
            open: sessions.open,
            idle: sessions.idle,
            waiting: sessions.waiting,
        }
    }
}

/// What is shown of a summary, whose age is `age`. Only the store's clock counts: this process may have a wrong one.
fn fleet(summary: &Summary, age: Duration) -> FleetSample {
    let managed = summary
        .devices
        .iter()
        .find(|devices| devices.state == DeviceState::Managed);
    let oldest = managed.and_then(|managed| managed.since).map(|since| {
        // Flags of before an upgrade may have a worker's wrong clock.
        let then = summary.at.duration_since(since).max(SignedDuration::ZERO);
        then.unsigned_abs() + age
    });
    let devices = summary.devices.iter().map(|devices| DevicesSample {
        state: devices.state,
        all: devices.all,
        unsynchronized: devices.unsynchronized,
    });
    FleetSample {
        devices: devices.collect(),
        oldest,
        dead_letters: summary.dead_letters,
    }
}

#[cfg(test)]
mod tests;
