//! What is a state, and is asked for when somebody wants to know.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_protocol::DeviceState;

use crate::families::{
    BROKER_BLOCKED, BROKER_CHANNELS, BROKER_CHANNELS_LIMIT, BROKER_CHANNELS_WAITING, BROKER_CONNECTED,
    DEAD_LETTERS, DEVICES, DEVICES_UNSYNCHRONIZED, OLDEST_UNSYNCHRONIZED_SECONDS, REPLIES_BYPASSED,
    STORE_SESSIONS, STORE_SESSIONS_LIMIT, STORE_SESSIONS_WAITING, STORE_UP,
};

/// Tells how things are.
#[async_trait]
pub trait Sampler: Debug + Send + Sync + 'static {
    /// How things are now. What cannot be known in time is left out.
    async fn sample(&self) -> Sample;
}

/// How things are; what is absent is not shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The broker.
    pub broker: Option<BrokerSample>,
    /// The store.
    pub store: Option<StoreSample>,
    /// The fleet, as the store knows it.
    pub fleet: Option<FleetSample>,
}

/// How the process stands with the broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BrokerSample {
    /// Whether all its connections are there.
    pub connected: bool,
    /// Whether the broker takes no messages because of an alarm.
    pub blocked: bool,
    /// Confirm channels.
    pub channels: Option<Pool>,
    /// Answers that went to the results because a reply queue was full, since the start.
    pub bypassed: u64,
}

/// How the process stands with the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreSample {
    /// Whether it answered.
    pub up: bool,
    /// Sessions.
    pub sessions: Option<Pool>,
}

/// How full a pool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// The most there may be.
    pub limit: usize,
    /// How many are open.
    pub open: usize,
    /// How many of them nobody uses.
    pub idle: usize,
    /// How many wait for one.
    pub waiting: usize,
}

/// How the fleet is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetSample {
    /// Devices by state; a state that is absent has none.
    pub devices: Vec<DevicesSample>,
    /// For how long the MANAGED device has not been synchronized that has waited longest.
    pub oldest: Option<Duration>,
    /// Dead letters that nobody settled yet.
    pub dead_letters: u64,
}

/// The devices in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicesSample {
    /// The state.
    pub state: DeviceState,
    /// How many there are.
    pub all: u64,
    /// How many of them are not synchronized.
    pub unsynchronized: u64,
}

impl Sample {
    /// Sets the gauges of the recorder that is in force.
    pub(crate) fn set(&self) {
        if let Some(broker) = &self.broker {
            broker.set();
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
        DEAD_LETTERS.gauge(none).set(exact(self.dead_letters));
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
    fn what_is_not_known_is_not_shown() {
        let away = Sample {
            store: Some(StoreSample {
                up: false,
                sessions: None,
            }),
            ..Sample::default()
        };
        let text = shown(|| away.set());
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
            dead_letters: 1,
        };
        let text = shown(|| fleet.set());
        for line in [
            "lockstep_devices{state=\"MANAGED\"} 3",
            "lockstep_devices_unsynchronized{state=\"MANAGED\"} 2",
            "lockstep_devices{state=\"UNMANAGED\"} 0",
            "lockstep_oldest_unsynchronized_seconds 90",
            "lockstep_dead_letters 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }
}
