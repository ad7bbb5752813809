//! `lockstep.interface.updated`: configuration flags the device, status does not (`reference/cnaas.md` §8).

use lockstep_protocol::Cause;
use lockstep_protocol::events::{InterfaceUpdated, UpdateKind};
use lockstep_protocol::results::{IgnoredReason, Scope};

use super::{Decision, FlagReply, Rejection};
use lockstep_store::{DeviceEffect, Effects, Facts, InterfaceRow, Keys};

pub(super) fn keys(event: &InterfaceUpdated) -> Keys {
    Keys {
        hostnames: [event.hostname.clone()].into(),
        ..Keys::default()
    }
}

pub(super) fn decide(event: &InterfaceUpdated, facts: &Facts) -> Result<Decision, Rejection> {
    let hostname = &event.hostname;
    if facts.device(hostname).is_none() {
        return Err(Rejection::unknown_device(hostname, "$.data.hostname"));
    }
    if event.kind == UpdateKind::Status {
        let verdict = FlagReply::ignored(IgnoredReason::StatusOnly, hostname.clone());
        return Ok(Decision {
            effects: Effects::default(),
            answer: verdict.into(),
        });
    }
    let interfaces = event
        .interfaces
        .iter()
        .filter(|interface| interface.configuration.is_some());
    let effects = Effects {
        devices: vec![DeviceEffect::Unsynchronize {
            hostname: hostname.clone(),
            cause: Cause::InterfaceUpdated,
        }],
        interfaces: interfaces
            .map(|interface| InterfaceRow {
                hostname: hostname.clone(),
                name: interface.name.clone(),
                configuration: interface.configuration.clone(),
            })
            .collect(),
        ..Effects::default()
    };
    Ok(Decision {
        effects,
        answer: FlagReply::applied(Scope::Device, [hostname.clone()]).into(),
    })
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Code, DeviceState, Kind};
    use serde_json::json;

    use super::super::scene::{at, device, facts, flips, hostname, message, work};
    use super::*;

    fn update(kind: &str) -> lockstep_protocol::Envelope {
        let interfaces = json!([{"name": "Ethernet1", "configuration": {"vlan": 7}}, {"name": "Ethernet2"}]);
        message(
            Kind::InterfaceUpdated,
            10,
            &json!({"hostname": "sw1", "kind": kind, "interfaces": interfaces}),
        )
    }

    #[test]
    fn configuration_flags_the_device_whatever_its_state() {
        for state in DeviceState::ALL {
            let mut facts = facts([device("sw1", |row| row.lifecycle.state = *state)]);
            let (decision, flipped) = work(&update("configuration"), &mut facts).unwrap();
            assert_eq!(flipped, flips(&["sw1"]), "{state}");
            assert_eq!(
                *decision.verdict(),
                FlagReply::applied(Scope::Device, [hostname("sw1")])
            );
            let row = facts.device(&hostname("sw1")).unwrap();
            assert_eq!(
                (row.sync.desired, row.sync.synced, row.sync.since),
                (2, 1, Some(at(1_000_000)))
            );
        }
    }

    #[test]
    fn configuration_that_is_told_is_kept() {
        let mut facts = facts([device("sw1", |_| ())]);
        let (decision, _) = work(&update("configuration"), &mut facts).unwrap();
        let kept: Vec<&str> = decision
            .effects
            .interfaces
            .iter()
            .map(|row| row.name.as_str())
            .collect();
        assert_eq!(kept, ["Ethernet1"]);
    }

    #[test]
    fn an_unsynchronized_device_is_bumped_without_a_flip_and_keeps_its_clock() {
        let mut facts = facts([device("sw1", |row| {
            row.sync.desired = 5;
            row.sync.since = Some(at(3));
        })]);
        let (_, flipped) = work(&update("configuration"), &mut facts).unwrap();
        let row = facts.device(&hostname("sw1")).unwrap();
        assert_eq!(flipped, flips(&[]));
        assert_eq!(
            (row.sync.desired, row.sync.synced, row.sync.since),
            (6, 1, Some(at(3)))
        );
    }

    #[test]
    fn status_such_as_a_bounce_does_not_flag() {
        let mut facts = facts([device("sw1", |_| ())]);
        let (decision, flipped) = work(&update("status"), &mut facts).unwrap();
        assert_eq!(flipped, flips(&[]));
        assert_eq!(decision.effects, Effects::default());
        assert_eq!(decision.verdict().ignored, Some(IgnoredReason::StatusOnly));
    }

    #[test]
    fn an_unknown_host_is_rejected_by_name() {
        for kind in ["configuration", "status"] {
            let rejection = work(&update(kind), &mut facts([])).unwrap_err();
            assert_eq!(
                (rejection.code, rejection.place.as_str()),
                (Code::UnknownDevice, "$.data.hostname")
            );
            assert!(rejection.reason.contains("sw1"), "{}", rejection.reason);
        }
    }
}
