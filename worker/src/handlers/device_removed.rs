//! `lockstep.device.removed` and `lockstep.device.remove-requested`: a device leaves the fleet, with its interfaces and links. Its
//! neighbours by links are flagged (`docs/reference/sync-rules.md`).
//!
//! An event that is older than the newest state of the device does not remove it: the device came back since. It still flags. A
//! command always applies.

use lockstep_protocol::Cause;
use lockstep_protocol::commands::DeviceRemoveRequested;
use lockstep_protocol::events::DeviceRemoved;
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_store::{DeviceEffect, DeviceRow, Effects, Facts, Keys, Version};

use super::device_state::{is_older, known};
use super::event_device::device_of_event;
use super::flagged::Flagged;
use super::{Decision, Handler, HandlerContext, Rejection, neighbors};

impl Handler for DeviceRemoved {
    fn keys(&self, keys: &mut Keys) {
        keys.add_device_of_event(&self.hostname);
        keys.links_of.insert(self.hostname.clone());
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        removed(self, &context.version(), facts)
    }
}

impl Handler for DeviceRemoveRequested {
    fn keys(&self, keys: &mut Keys) {
        keys.hostnames.insert(self.hostname.clone());
        keys.links_of.insert(self.hostname.clone());
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        let row = known(&self.hostname, facts)?;
        let mut decision = removal(row, &context.version(), facts);
        decision.effects.note.clone_from(&self.note);
        Ok(decision)
    }
}

/// The event: the device is already gone.
fn removed(event: &DeviceRemoved, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    let Some(row) = device_of_event(&event.hostname, version, facts, "$.data.hostname")? else {
        // It was removed before, by an event or by an operator.
        return Ok(Decision::ignored(IgnoredReason::Older, event.hostname.clone()));
    };
    if !is_older(row, version) {
        return Ok(removal(row, version, facts));
    }
    let flagged = neighbors_flagged(row, facts);
    if flagged.devices.is_empty() {
        return Ok(Decision::ignored(IgnoredReason::Older, row.hostname.clone()));
    }
    let effects = Effects {
        devices: flagged.effects,
        ..Effects::default()
    };
    Ok(Decision::applied(effects, Scope::Devices, flagged.devices))
}

fn removal(row: &DeviceRow, version: &Version, facts: &Facts) -> Decision {
    let mut flagged = neighbors_flagged(row, facts);
    let remove = DeviceEffect::Remove {
        hostname: row.hostname.clone(),
        version: version.clone(),
    };
    flagged.effects.push(remove);
    flagged.devices.insert(row.hostname.clone());
    let effects = Effects {
        devices: flagged.effects,
        ..Effects::default()
    };
    Decision::applied(effects, Scope::Devices, flagged.devices)
}

fn neighbors_flagged(row: &DeviceRow, facts: &Facts) -> Flagged {
    let mut flagged = Flagged::default();
    flagged.flag_all(&neighbors::linked(&row.hostname, facts), Cause::NeighborDeleted);
    flagged
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Code, Envelope, Kind};
    use serde_json::json;

    use super::super::fixtures::{causes, device, facts, flips, hostname, link, message, process, version};
    use super::*;

    fn fleet() -> Facts {
        let mut facts = facts(["sw1", "core1", "core2", "far1"].map(|name| device(name, |_| ())));
        facts.add_link(link(("sw1", "Ethernet1"), ("core1", "Ethernet9")), true, None);
        facts.add_link(link(("core2", "Ethernet9"), ("sw1", "Ethernet2")), true, None);
        facts.add_link(link(("sw1", "Ethernet7"), ("sw1", "Ethernet8")), true, None);
        facts.add_link(
            link(("sw1", "Ethernet3"), ("far1", "Ethernet1")),
            false,
            Some(version(1)),
        );
        facts
    }

    fn event(second: i64) -> Envelope {
        message(Kind::DeviceRemoved, second, &json!({"hostname": "sw1"}))
    }

    fn command(data: &serde_json::Value) -> Envelope {
        message(Kind::DeviceRemoveRequested, 10, data)
    }

    #[test]
    fn a_removed_device_goes_with_its_links_and_its_neighbours_by_links_are_flagged() {
        for envelope in [event(10), command(&json!({"hostname": "sw1"}))] {
            let mut facts = fleet();
            let (decision, flipped) = process(&envelope, &mut facts).unwrap();
            assert_eq!(
                flipped,
                flips(&["core1", "core2"]),
                "far1 has no link to it any more"
            );
            assert_eq!(
                decision.event_applied().devices,
                flips(&["core1", "core2", "sw1"])
            );
            assert_eq!(causes(&facts, "core1"), [Cause::NeighborDeleted]);
            assert!(facts.device(&hostname("sw1")).is_none());
            assert_eq!(facts.links_of(&hostname("core1")).count(), 0);
            assert_eq!(facts.former_hostname(&hostname("sw1")).unwrap().current, None);
        }
    }

    #[test]
    fn the_note_of_an_operator_is_kept_with_the_causes() {
        let mut facts = fleet();
        process(
            &command(&json!({"hostname": "sw1", "note": "case 7"})),
            &mut facts,
        )
        .unwrap();
        assert_eq!(facts.new_causes()[0].note.as_deref(), Some("case 7"));
    }

    #[test]
    fn an_event_that_is_older_than_the_newest_state_removes_nothing_and_flags() {
        let mut facts = fleet();
        facts.add_device(device("sw1", |row| row.lifecycle.version = Some(version(20))));
        let (_, flipped) = process(&event(10), &mut facts).unwrap();
        assert_eq!(flipped, flips(&["core1", "core2"]));
        assert!(facts.device(&hostname("sw1")).is_some());
        let command = command(&json!({"hostname": "sw1"}));
        process(&command, &mut facts).unwrap();
        assert!(facts.device(&hostname("sw1")).is_none(), "an operator means it");
    }

    #[test]
    fn a_removal_that_arrives_again_changes_nothing() {
        let mut facts = fleet();
        process(&event(10), &mut facts).unwrap();
        let (decision, flipped) = process(&event(10), &mut facts).unwrap();
        assert_eq!(flipped, flips(&[]));
        assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Older));
    }

    #[test]
    fn an_unknown_device_is_not_removed_and_a_command_names_the_present_name() {
        let rejection = process(&event(10), &mut facts([])).unwrap_err();
        assert_eq!(
            (rejection.code, rejection.place.as_str()),
            (Code::UnknownDevice, "$.data.hostname")
        );
        let mut facts = fleet();
        let renamed = message(
            Kind::DeviceRenamed,
            5,
            &json!({"hostname": "sw1", "new_hostname": "sw2"}),
        );
        process(&renamed, &mut facts).unwrap();
        let rejection = process(&command(&json!({"hostname": "sw1"})), &mut facts).unwrap_err();
        assert_eq!(rejection.code, Code::UnknownDevice);
        assert!(rejection.reason.contains("sw2"), "{}", rejection.reason);
        process(&event(10), &mut facts).unwrap();
        assert!(
            facts.device(&hostname("sw2")).is_none(),
            "an event follows the device"
        );
    }
}
