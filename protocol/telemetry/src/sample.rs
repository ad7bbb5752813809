//! Gauges that are sampled at each scrape.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{DeviceState, RepositoryName};

use crate::families::{
    BROKER_BLOCKED, BROKER_CHANNELS, BROKER_CHANNELS_LIMIT, BROKER_CHANNELS_WAITING, BROKER_CONNECTED,
    DEAD_LETTERS, DEVICES, DEVICES_EXPIRED, DEVICES_UNSYNCHRONIZED, DUE_WORK, LANE_CONSUMERS, LANE_MESSAGES,
    OLDEST_CHECK_SECONDS, OLDEST_UNMANAGED_SECONDS, OLDEST_UNSYNCHRONIZED_SECONDS, REPLIES_BYPASSED,
    REPOSITORY_ASKED_SECONDS, REPOSITORY_FAILING_SECONDS, STORE_SESSIONS, STORE_SESSIONS_LIMIT,
    STORE_SESSIONS_WAITING, STORE_UP,
};

/// Samples the current state of a process.
#[async_trait]
pub trait Sampler: Debug + Send + Sync + 'static {
    /// Returns the current state. Values that cannot be determined in time are left out.
    async fn sample(&self) -> Sample;
}

/// The state of a process; absent values are not shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The connections to the broker.
    pub broker: Option<BrokerSample>,
    /// The queues of the lanes; empty if they are not known.
    pub lanes: Vec<LaneSample>,
    /// The sessions with the store.
    pub store: Option<StoreSample>,
    /// The devices and dead letters in the store.
    pub fleet: Option<FleetSample>,
}

/// The state of the connections to the broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BrokerSample {
    /// Whether all connections are open.
    pub connected: bool,
    /// Whether the broker blocks publishers because of an alarm.
    pub blocked: bool,
    /// The pool of confirm channels; absent on a bus without channels.
    pub channels: Option<Pool>,
    /// Replies that went to the results because the reply queue was full, since the process started.
    pub bypassed: u64,
}

/// The queue of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneSample {
    /// The lane.
    pub lane: Lane,
    /// How many messages wait.
    pub messages: u32,
    /// How many consumers the queue has.
    pub consumers: u32,
}

/// The state of the sessions with the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreSample {
    /// Whether the store answered.
    pub up: bool,
    /// The pool of sessions; absent if the store has none.
    pub sessions: Option<Pool>,
}

/// The state of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// The maximum size.
    pub limit: usize,
    /// How many objects are open.
    pub open: usize,
    /// How many open objects are not in use.
    pub idle: usize,
    /// How many callers wait for an object.
    pub waiting: usize,
}

/// The state of the fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetSample {
    /// Devices by state; absent states have none.
    pub devices: Vec<DevicesSample>,
    /// How long the MANAGED device that has waited longest has been unsynchronized; absent if all are synchronized.
    pub oldest: Option<Duration>,
    /// How long the UNMANAGED device that has been so for longest has been UNMANAGED; absent if there is none.
    pub oldest_unmanaged: Option<Duration>,
    /// How long the synchronized MANAGED device that was not compared for longest has not been compared; absent if there is none.
    pub oldest_check: Option<Duration>,
    /// How many devices are in a state that should have ended by the time that an operator noted.
    pub expired: u64,
    /// The number of unsettled dead letters.
    pub dead_letters: u64,
    /// The number of elements of executions that are due or run.
    pub due_work: u64,
    /// The repositories that are known.
    pub repositories: Vec<RepositorySample>,
}

/// The state of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositorySample {
    /// Its configured name.
    pub name: RepositoryName,
    /// How long it has failed; zero if it does not.
    pub failing: Duration,
    /// How long ago its remote was last asked; absent if that is not known.
    pub asked: Option<Duration>,
}

/// The devices in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicesSample {
    /// The state of these devices.
    pub state: DeviceState,
    /// How many devices are in this state.
    pub all: u64,
    /// How many of them are unsynchronized.
    pub unsynchronized: u64,
}

impl Sample {
    /// Sets the gauges of the current recorder.
    pub(crate) fn set(&self) {
        if let Some(broker) = &self.broker {
            broker.set();
        }
        for LaneSample {
            lane,
            messages,
            consumers,
        } in &self.lanes
        {
            LANE_MESSAGES.gauge([lane.as_str()]).set(f64::from(*messages));
            LANE_CONSUMERS.gauge([lane.as_str()]).set(f64::from(*consumers));
        }
        if let Some(store) = &self.store {
            store.set();
        }
        if let Some(fleet) = &self.fleet {
            fleet.set();
        }
    }
}

impl BrokerSample {
    fn set(&self) {
        let none: [&'static str; 0] = [];
        BROKER_CONNECTED
            .gauge(none)
            .set(f64::from(u8::from(self.connected)));
        BROKER_BLOCKED.gauge(none).set(f64::from(u8::from(self.blocked)));
        REPLIES_BYPASSED.counter(none).absolute(self.bypassed);
        if let Some(channels) = self.channels {
            BROKER_CHANNELS.gauge(["in_use"]).set(exact(channels.in_use()));
            BROKER_CHANNELS.gauge(["idle"]).set(exact(channels.idle as u64));
            BROKER_CHANNELS_LIMIT
                .gauge(none)
                .set(exact(channels.limit as u64));
            BROKER_CHANNELS_WAITING
                .gauge(none)
                .set(exact(channels.waiting as u64));
        }
    }
}

impl StoreSample {
    fn set(&self) {
        let none: [&'static str; 0] = [];
        STORE_UP.gauge(none).set(f64::from(u8::from(self.up)));
        if let Some(sessions) = self.sessions {
            STORE_SESSIONS.gauge(["in_use"]).set(exact(sessions.in_use()));
            STORE_SESSIONS.gauge(["idle"]).set(exact(sessions.idle as u64));
            STORE_SESSIONS_LIMIT.gauge(none).set(exact(sessions.limit as u64));
            STORE_SESSIONS_WAITING
                .gauge(none)
                .set(exact(sessions.waiting as u64));
        }
    }
}

impl FleetSample {
    fn set(&self) {
        let none: [&'static str; 0] = [];
        for state in DeviceState::ALL {
            let known = self.devices.iter().find(|devices| devices.state == *state);
            let (all, unsynchronized) = known.map_or((0, 0), |devices| (devices.all, devices.unsynchronized));
            DEVICES.gauge([state.as_str()]).set(exact(all));
            DEVICES_UNSYNCHRONIZED
                .gauge([state.as_str()])
                .set(exact(unsynchronized));
        }
        let oldest = self.oldest.unwrap_or_default();
        OLDEST_UNSYNCHRONIZED_SECONDS
            .gauge(none)
            .set(oldest.as_secs_f64());
        let unmanaged = self.oldest_unmanaged.unwrap_or_default();
        OLDEST_UNMANAGED_SECONDS.gauge(none).set(unmanaged.as_secs_f64());
        let check = self.oldest_check.unwrap_or_default();
        OLDEST_CHECK_SECONDS.gauge(none).set(check.as_secs_f64());
        DEVICES_EXPIRED.gauge(none).set(exact(self.expired));
        DEAD_LETTERS.gauge(none).set(exact(self.dead_letters));
        DUE_WORK.gauge(none).set(exact(self.due_work));
        for repository in &self.repositories {
            REPOSITORY_FAILING_SECONDS
                .gauge([repository.name.to_string()])
                .set(repository.failing.as_secs_f64());
            if let Some(asked) = repository.asked {
                REPOSITORY_ASKED_SECONDS
                    .gauge([repository.name.to_string()])
                    .set(asked.as_secs_f64());
            }
        }
    }
}

impl Pool {
    fn in_use(self) -> u64 {
        self.open.saturating_sub(self.idle) as u64
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, which no fleet has")]
fn exact(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::shown;

    #[test]
    fn absent_values_are_not_shown() {
        let unavailable = Sample {
            store: Some(StoreSample {
                up: false,
                sessions: None,
            }),
            ..Sample::default()
        };
        let text = shown(|| unavailable.set());
        let values: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .collect();
        assert_eq!(values, ["lockstep_store_up 0"]);
    }

    #[test]
    fn a_state_without_devices_is_shown_as_zero() {
        let fleet = FleetSample {
            devices: vec![DevicesSample {
                state: DeviceState::Managed,
                all: 3,
                unsynchronized: 2,
            }],
            oldest: Some(Duration::from_secs(90)),
            oldest_unmanaged: Some(Duration::from_hours(2)),
            oldest_check: Some(Duration::from_hours(1)),
            expired: 4,
            dead_letters: 1,
            due_work: 9,
            repositories: vec![RepositorySample {
                name: "settings".to_owned().try_into().unwrap(),
                failing: Duration::from_mins(10),
                asked: Some(Duration::from_mins(1)),
            }],
        };
        let lanes = vec![LaneSample {
            lane: Lane::Events,
            messages: 7,
            consumers: 0,
        }];
        let sample = Sample {
            fleet: Some(fleet),
            lanes,
            ..Sample::default()
        };
        let text = shown(|| sample.set());
        for line in [
            "lockstep_devices{state=\"MANAGED\"} 3",
            "lockstep_devices_unsynchronized{state=\"MANAGED\"} 2",
            "lockstep_devices{state=\"UNMANAGED\"} 0",
            "lockstep_oldest_unsynchronized_seconds 90",
            "lockstep_oldest_unmanaged_seconds 7200",
            "lockstep_oldest_check_seconds 3600",
            "lockstep_devices_expired 4",
            "lockstep_dead_letters 1",
            "lockstep_due_work 9",
            "lockstep_repository_failing_seconds{repository=\"settings\"} 600",
            "lockstep_repository_asked_seconds{repository=\"settings\"} 60",
            "lockstep_lane_messages{lane=\"events\"} 7",
            "lockstep_lane_consumers{lane=\"events\"} 0",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }
}
