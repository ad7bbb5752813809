//! Logs each change between reachable and away once: a line when something is lost, few while it is away, and one when it is back.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How often an outage that lasts is reported again.
const REMINDER: Duration = Duration::from_mins(5);

/// What is reported about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The outage begins.
    Began,
    /// It lasts, for this time, and was not reported for a while.
    Lasts(Duration),
    /// It was reported already.
    Known,
}

/// What is reported about a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Success {
    /// It is reachable for the first time.
    First,
    /// The outage ended after this time.
    Ended(Duration),
    /// There was no outage, or a part is still away.
    Known,
}

/// The outage of something with parts: it begins with the first part that is lost and ends with the last one that is back. Pure.
#[derive(Debug, Default)]
pub(super) struct Outage {
    away: BTreeSet<&'static str>,
    began_at: Option<Instant>,
    reported_at: Option<Instant>,
    was_reached: bool,
}

impl Outage {
    /// Notes that a part is lost or still away.
    pub(super) fn failed(&mut self, part: &'static str, now: Instant) -> Failure {
        self.away.insert(part);
        let Some(began_at) = self.began_at else {
            self.began_at = Some(now);
            self.reported_at = Some(now);
            return Failure::Began;
        };
        if self
            .reported_at
            .is_some_and(|at| now.duration_since(at) < REMINDER)
        {
            return Failure::Known;
        }
        self.reported_at = Some(now);
        Failure::Lasts(now.duration_since(began_at))
    }

    /// Notes that a part is reachable.
    pub(super) fn succeeded(&mut self, part: &'static str, now: Instant) -> Success {
        self.away.remove(part);
        let is_first = !std::mem::replace(&mut self.was_reached, true);
        if !self.away.is_empty() {
            return Success::Known;
        }
        match self.began_at.take() {
            Some(began_at) => Success::Ended(now.duration_since(began_at)),
            None if is_first => Success::First,
            None => Success::Known,
        }
    }
}

/// Logs the outages of one broker for all connections of a bus.
pub(super) struct BrokerLog {
    /// Its address without user and password.
    broker: String,
    outage: Mutex<Outage>,
}

impl BrokerLog {
    pub(super) fn new(broker: String) -> Self {
        Self {
            broker,
            outage: Mutex::default(),
        }
    }

    /// The connection with this role is lost, or could not be opened.
    pub(super) fn failed(&self, role: &'static str, reason: &dyn Display) {
        let (failure, was_reached) = {
            let mut outage = self.outage();
            (outage.failed(role, Instant::now()), outage.was_reached)
        };
        let broker = self.broker.as_str();
        match failure {
            Failure::Began if !was_reached => {
                warn!(broker, role, %reason, "cannot connect to the broker; trying again until it answers");
            }
            Failure::Began => {
                warn!(broker, role, %reason, "lost the connection to the broker; connecting again until it answers");
            }
            Failure::Lasts(away) => {
                warn!(broker, role, %reason, away_s = away.as_secs(), "the broker is still away");
            }
            Failure::Known => debug!(broker, role, %reason, "cannot connect to the broker"),
        }
    }

    /// The connection with this role is open.
    pub(super) fn succeeded(&self, role: &'static str) {
        let success = self.outage().succeeded(role, Instant::now());
        let broker = self.broker.as_str();
        match success {
            Success::First => info!(broker, "connected to the broker"),
            Success::Ended(away) => info!(
                broker,
                away_ms = away.as_millis(),
                "connected to the broker again"
            ),
            Success::Known => debug!(broker, role, "connection opened"),
        }
    }

    fn outage(&self) -> std::sync::MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_outage_of_all_parts_is_reported_when_it_begins_and_when_it_ends() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.succeeded("publishing", start), Success::First);
        assert_eq!(outage.succeeded("consuming", start), Success::Known);
        assert_eq!(outage.failed("publishing", start), Failure::Began);
        assert_eq!(outage.failed("consuming", start), Failure::Known);
        for seconds in 1..9 {
            assert_eq!(
                outage.failed("publishing", start + SECOND * seconds),
                Failure::Known
            );
        }
        assert_eq!(
            outage.succeeded("consuming", start + SECOND * 10),
            Success::Known,
            "the other part is still away"
        );
        assert_eq!(
            outage.succeeded("publishing", start + SECOND * 12),
            Success::Ended(SECOND * 12)
        );
        assert_eq!(outage.failed("consuming", start + SECOND * 20), Failure::Began);
    }

    #[test]
    fn a_broker_that_was_never_reached_is_reported_too() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.failed("publishing", start), Failure::Began);
        assert_eq!(
            outage.succeeded("publishing", start + SECOND),
            Success::Ended(SECOND)
        );
    }

    #[test]
    fn a_long_outage_is_reported_again_now_and_then() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let reported = (0..3600)
            .map(|second| outage.failed("publishing", start + SECOND * second))
            .filter(|failure| *failure != Failure::Known);
        let reported: Vec<Failure> = reported.collect();
        assert_eq!(reported.len(), 12);
        assert_eq!(reported[1], Failure::Lasts(REMINDER));
    }
}
