use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lockstep_bus::{Bus, BusStatus, QueueFigures};
use lockstep_protocol::DeviceState;
use lockstep_protocol::topology::Lane;
use lockstep_telemetry::{
    BrokerSample, DevicesSample, FleetSample, LaneSample, Pool, RepositorySample, Sample, Sampler,
    StoreSample,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::unavailable::PING_TIMEOUT;
use lockstep_store::{Schema, Stats, StoreError, Summary};

/// How long an answer of the store, and of the broker about the lanes, is reused.
const FRESH: Duration = Duration::from_secs(10);
/// How long the store may take to summarize the fleet.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the broker may take to count the messages of the lanes.
const QUEUES_TIMEOUT: Duration = Duration::from_secs(2);

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
    lanes: Vec<LaneSample>,
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

    /// The queues of the lanes, by a process that summarizes the fleet. Empty if the broker does not answer in time.
    async fn lanes(&self, store: &StoreProbe) -> Vec<LaneSample> {
        if let StoreProbe::Ping(..) = store {
            return Vec::new();
        }
        let names: Vec<&str> = Lane::ALL.iter().map(|lane| lane.queue()).collect();
        let Ok(Ok(queues)) = timeout(QUEUES_TIMEOUT, self.bus.queues(&names)).await else {
            return Vec::new();
        };
        let lanes = Lane::ALL.iter().zip(queues);
        let lane = |(lane, figures): (&Lane, Option<QueueFigures>)| {
            let QueueFigures { messages, consumers } = figures?;
            Some(LaneSample {
                lane: *lane,
                messages,
                consumers,
            })
        };
        lanes.filter_map(lane).collect()
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
        let answer = cached.insert(if let Some(answer) = fresh {
            answer
        } else {
            let (mut answer, lanes) = tokio::join!(store.query(), self.lanes(store));
            answer.lanes = lanes;
            answer
        });
        Sample {
            broker,
            lanes: answer.lanes.clone(),
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
            lanes: Vec::new(),
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
    let elapsed = |since: Timestamp| {
        // Flags of before an upgrade may have a worker's wrong clock.
        let then = summary.at.duration_since(since).max(SignedDuration::ZERO);
        then.unsigned_abs() + age
    };
    let oldest = managed.and_then(|managed| managed.since).map(elapsed);
    let unmanaged = summary
        .devices
        .iter()
        .find(|devices| devices.state == DeviceState::Unmanaged);
    let oldest_unmanaged = unmanaged.and_then(|unmanaged| unmanaged.state_since).map(elapsed);
    let repositories = summary.repositories.iter().map(|state| RepositorySample {
        name: state.name.clone(),
        failing: state.failing_since.map(elapsed).unwrap_or_default(),
        asked: state.asked_at.map(elapsed),
    });
    let devices = summary.devices.iter().map(|devices| DevicesSample {
        state: devices.state,
        all: devices.all,
        unsynchronized: devices.unsynchronized,
    });
    FleetSample {
        devices: devices.collect(),
        oldest,
        oldest_unmanaged,
        oldest_check: managed.and_then(|managed| managed.checked_since).map(elapsed),
        expired: summary.devices.iter().map(|devices| devices.expired).sum(),
        dead_letters: summary.dead_letters,
        due_work: summary.due_work,
        repositories: repositories.collect(),
    }
}

#[cfg(test)]
mod tests;
