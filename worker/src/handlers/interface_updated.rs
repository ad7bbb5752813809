//! `lockstep.interface.updated`: an update of configuration flags the device, an update of status does not
//! (`docs/reference/sync-rules.md`).

use std::sync::Arc;

use lockstep_protocol::events::{InterfaceUpdated, UpdateKind};
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, CauseDetail};

use super::event_device::device_of_event;
use super::{Decision, EventAppliedDraft, Handler, HandlerContext, Rejection};
use lockstep_store::{DeviceEffect, Effects, Facts, InterfaceRow, Keys};

impl Handler for InterfaceUpdated {
    fn keys(&self, keys: &mut Keys) {
        keys.add_device_of_event(&self.hostname);
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(self, context, facts)
    }
}

fn decide(
    event: &InterfaceUpdated,
    context: &HandlerContext<'_>,
    facts: &Facts,
) -> Result<Decision, Rejection> {
    // Nearly every event of a fleet is one of these about a device that exists: no version is made for it.
    let row = match facts.device(&event.hostname) {
        Some(row) => Some(row),
        None => device_of_event(&event.hostname, &context.version(), facts, "$.data.hostname")?,
    };
    let Some(row) = row else {
        return Ok(Decision::ignored(IgnoredReason::Older, event.hostname.clone()));
    };
    let hostname = &row.hostname;
    if event.kind == UpdateKind::Status {
        return Ok(Decision::ignored(IgnoredReason::StatusOnly, hostname.clone()));
    }
    let names = event.interfaces.iter().map(|interface| &interface.name);
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
        detail: Some(Arc::new(CauseDetail::of_interfaces(names))),
        ..Effects::default()
    };
    Ok(Decision {
        effects,
        result: EventAppliedDraft::applied(Scope::Device, [hostname.clone()]).into(),
    })
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Code, DeviceState, Kind};
    use serde_json::json;

    use super::super::fixtures::{at, device, facts, flips, hostname, message, process};
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
            let (decision, flipped) = process(&update("configuration"), &mut facts).unwrap();
            assert_eq!(flipped, flips(&["sw1"]), "{state}");
            assert_eq!(
                *decision.event_applied(),
                EventAppliedDraft::applied(Scope::Device, [hostname("sw1")])
            );
            let row = facts.device(&hostname("sw1")).unwrap();
            assert_eq!(
                (row.sync.desired, row.sync.synced, row.sync.since),
                (2, 1, Some(at(1_000_000)))
            );
        }
    }

    #[test]
    fn configuration_in_the_event_is_stored() {
        let mut facts = facts([device("sw1", |_| ())]);
        let (decision, _) = process(&update("configuration"), &mut facts).unwrap();
        let kept: Vec<&str> = decision
            .effects
            .interfaces
            .iter()
            .map(|row| row.name.as_str())
            .collect();
        assert_eq!(kept, ["Ethernet1"]);
    }

    #[test]
    fn the_cause_names_all_interfaces_of_the_event() {
        let mut facts = facts([device("sw1", |_| ())]);
        let (decision, _) = process(&update("configuration"), &mut facts).unwrap();
        let detail = decision.effects.detail.unwrap();
        let names: Vec<String> = detail.interfaces.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["Ethernet1", "Ethernet2"]);
        assert_eq!(detail.more_interfaces, 0);
        assert_eq!(facts.new_causes()[0].detail, Some(detail));
    }

    #[test]
    fn an_unsynchronized_device_gets_a_new_desired_version_and_keeps_its_since() {
        let mut facts = facts([device("sw1", |row| {
            row.sync.desired = 5;
            row.sync.since = Some(at(3));
        })]);
        let (_, flipped) = process(&update("configuration"), &mut facts).unwrap();
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
        let (decision, flipped) = process(&update("status"), &mut facts).unwrap();
        assert_eq!(flipped, flips(&[]));
        assert_eq!(decision.effects, Effects::default());
        assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::StatusOnly));
    }

    #[test]
    fn an_unknown_hostname_is_rejected() {
        for kind in ["configuration", "status"] {
            let rejection = process(&update(kind), &mut facts([])).unwrap_err();
            assert_eq!(
                (rejection.code, rejection.place.as_str()),
                (Code::UnknownDevice, "$.data.hostname")
            );
            assert!(rejection.reason.contains("sw1"), "{}", rejection.reason);
        }
    }
}
