//! A device that becomes synchronized may have a CloudVision task that has nothing left to do: its sweep follows, as soon as the gate lets a
//! task be cancelled.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_protocol::bounds::MAX_CVP_NAMES;
use lockstep_protocol::commands::CvpSweepRequested;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Envelope, Hostname};
use lockstep_store::{DeviceEffect, Facts, FollowUpRequest, FollowUpTarget, Keys};

use super::{Decision, FleetHandlers, Handlers, Rejection};

/// The rules of Lockstep, and sweeps of devices that become synchronized.
#[derive(Clone, Debug, Default)]
pub struct SweepWhenSynchronized {
    /// The clusters whose tasks are looked at.
    pub clusters: Vec<FollowedCluster>,
    /// The rules of Lockstep.
    pub fleet: FleetHandlers,
}

/// A cluster of CloudVision that is swept for devices that became synchronized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedCluster {
    /// Its name in the configuration.
    pub name: String,
    /// How long after that: the least age of a task that is cancelled.
    pub delay: Duration,
}

impl Handlers for SweepWhenSynchronized {
    fn keys(&self, envelope: &Envelope, keys: &mut Keys) {
        self.fleet.keys(envelope, keys);
    }

    fn decide(&self, envelope: &Envelope, facts: &Facts, now: Timestamp) -> Result<Decision, Rejection> {
        let mut decision = self.fleet.decide(envelope, facts, now)?;
        let sweeps = self.sweeps(&decision.effects.devices);
        decision.effects.follow_ups.extend(sweeps);
        Ok(decision)
    }
}

impl SweepWhenSynchronized {
    fn sweeps(&self, effects: &[DeviceEffect]) -> Vec<FollowUpRequest> {
        let synchronized = effects.iter().filter_map(|effect| match effect {
            DeviceEffect::Synchronize { hostname } => Some(hostname),
            _ => None,
        });
        let hostnames: Vec<&Hostname> = synchronized.collect();
        sweeps(&self.clusters, &hostnames)
    }
}

/// The sweeps that follow when these devices became synchronized.
pub(crate) fn sweeps(clusters: &[FollowedCluster], hostnames: &[&Hostname]) -> Vec<FollowUpRequest> {
    let sweep = |cluster: &FollowedCluster, chunk: &[&Hostname]| FollowUpRequest {
        message: CvpSweepRequested {
            cluster: cluster.name.clone(),
            dry_run: false,
            devices: chunk.iter().map(ToString::to_string).collect(),
            tasks: Vec::new(),
        }
        .into(),
        subject: None,
        target: FollowUpTarget::Lane(Lane::Executions),
        delay: Some(cluster.delay),
        lease: None,
    };
    let chunks = hostnames.chunks(MAX_CVP_NAMES);
    let each = |chunk| clusters.iter().map(move |cluster| sweep(cluster, chunk));
    chunks.flat_map(each).collect()
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Cause, Command, Message};

    use super::super::fixtures::hostname;
    use super::*;

    #[test]
    fn a_device_that_becomes_synchronized_is_looked_at_in_each_cluster_that_is_followed() {
        let synchronized = |name: &str| DeviceEffect::Synchronize {
            hostname: hostname(name),
        };
        let flagged = DeviceEffect::Unsynchronize {
            hostname: hostname("sw9"),
            cause: Cause::MarkedUnsynchronized,
        };
        let cluster = |name: &str, seconds| FollowedCluster {
            name: name.to_owned(),
            delay: Duration::from_secs(seconds),
        };
        let followed = SweepWhenSynchronized {
            clusters: vec![cluster("oslo", 45), cluster("rome", 90)],
            fleet: FleetHandlers::default(),
        };
        let sweeps = followed.sweeps(&[synchronized("sw1"), flagged.clone(), synchronized("sw2")]);
        let told: Vec<(String, Vec<String>, bool, Option<Duration>)> = sweeps
            .into_iter()
            .map(|sweep| match sweep.message {
                Message::Command(Command::CvpSweepRequested(request)) => {
                    (request.cluster, request.devices, request.dry_run, sweep.delay)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let both = || vec!["sw1".to_owned(), "sw2".to_owned()];
        let expected = [
            ("oslo".to_owned(), both(), false, Some(Duration::from_secs(45))),
            ("rome".to_owned(), both(), false, Some(Duration::from_secs(90))),
        ];
        assert_eq!(told, expected);
        assert!(followed.sweeps(&[flagged]).is_empty());
        let unfollowed = SweepWhenSynchronized::default();
        assert!(unfollowed.sweeps(&[synchronized("sw1")]).is_empty());
    }
}
