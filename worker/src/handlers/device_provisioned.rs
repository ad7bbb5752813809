//! `lockstep.device.provisioned`: a device came up by zero-touch provisioning. It becomes MANAGED and unsynchronized. A
//! link is created to every known neighbour that has none, and the devices at both its ends are flagged
//! (`docs/reference/sync-rules.md`). Links that it replaces are removed, and their other ends flagged, too.
//!
//! An event that is older than the removal of the device does not create it again.

use std::collections::BTreeSet;

use lockstep_protocol::events::{DeviceProvisioned, ProvisionedNeighbor};
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_protocol::{Cause, Code, DeviceState, Hostname};

use super::device_identity::{DeviceIdentities, IdentityConflict};
use super::device_state::move_effects;
use super::event_device::was_removed_after;
use super::flagged::{Flagged, unsynchronize};
use super::{Decision, EventAppliedDraft, Handler, HandlerContext, Rejection, device_type, neighbors};
use lockstep_store::{
    Attributes, DeviceEffect, DeviceRow, Effects, Facts, Keys, Link, LinkChange, LinkEnd, Version,
};

impl Handler for DeviceProvisioned {
    fn keys(&self, keys: &mut Keys) {
        keys.add_device_of_event(&self.hostname);
        for neighbor in &self.neighbors {
            keys.add_device_of_event(&neighbor.neighbor_hostname);
            // A new link replaces others at its interfaces.
            let ends = ends(&self.hostname, neighbor, &neighbor.neighbor_hostname);
            keys.links_at.extend(ends);
        }
        keys.macs.extend(self.mac.iter().cloned());
        keys.serials.extend(self.serial.iter().cloned());
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        device_type::check(&self.device_type, context.types(), "$.data.device_type")?;
        decide(self, &context.version(), facts)
    }
}

/// What the hostname in the event means by now.
#[derive(Clone, Copy)]
enum Subject<'a> {
    /// A device that does not exist yet.
    New,
    /// A device that exists, or that was renamed after the event.
    Known(&'a DeviceRow),
    /// A device that was removed after the event.
    Removed,
}

impl<'a> Subject<'a> {
    fn of(hostname: &Hostname, version: &Version, facts: &'a Facts) -> Self {
        if let Some(row) = facts.device(hostname) {
            return Self::Known(row);
        }
        let later = facts
            .former_hostname(hostname)
            .filter(|former| former.version >= *version);
        match later {
            None => Self::New,
            Some(_) => facts.device_of_event(hostname).map_or(Self::Removed, Self::Known),
        }
    }
}

fn decide(event: &DeviceProvisioned, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    let subject = Subject::of(&event.hostname, version, facts);
    let hostname = match subject {
        Subject::Known(row) => &row.hostname,
        Subject::New | Subject::Removed => &event.hostname,
    };
    reject_conflicts(event, subject, hostname, facts)?;
    let mut effects = Effects {
        devices: device_effects(event, subject, version),
        ..Effects::default()
    };
    let mut unknown = BTreeSet::new();
    let mut flagged = Flagged::default();
    for neighbor in &event.neighbors {
        let Some(there) = facts.device_of_event(&neighbor.neighbor_hostname) else {
            let is_late = was_removed_after(&neighbor.neighbor_hostname, version, facts);
            if is_late && !matches!(subject, Subject::Removed) {
                let [here, _] = ends(hostname, neighbor, &neighbor.neighbor_hostname);
                neighbors::replace_at(&here, version, facts, &mut flagged, &mut effects.links);
            }
            unknown.insert(neighbor.neighbor_hostname.clone());
            continue;
        };
        let [here, there] = ends(hostname, neighbor, &there.hostname);
        if let Subject::Removed = subject {
            // In order, the link would have been new, and removed with the device.
            flagged.flag(&there.hostname, Cause::LinknetCreated);
            neighbors::replace_at(&there, version, facts, &mut flagged, &mut effects.links);
            continue;
        }
        let link = Link::between(here, there);
        if effects.links.iter().any(|change| change.link == link) {
            continue;
        }
        if !facts.has_link(&link) {
            flagged.flag_all(link.ends().map(|end| &end.hostname), Cause::LinknetCreated);
            let replaced = facts.links_replaced_by(&link, version).flat_map(Link::ends);
            flagged.flag_all(replaced.map(|end| &end.hostname), Cause::LinknetDeleted);
        }
        // Also a link that exists is known to exist at this time: an older removal must not remove it.
        effects.links.push(LinkChange {
            link,
            present: true,
            version: Some(version.clone()),
            addresses: None,
        });
    }
    effects.devices.extend(flagged.effects);
    let mut devices = flagged.devices;
    if !matches!(subject, Subject::Removed) {
        devices.insert(hostname.clone());
    }
    let draft = if devices.is_empty() {
        EventAppliedDraft::ignored(IgnoredReason::Older, event.hostname.clone())
    } else {
        EventAppliedDraft::applied(Scope::Devices, devices)
    };
    let draft = EventAppliedDraft {
        unknown_hostnames: unknown,
        ..draft
    };
    Ok(Decision {
        effects,
        result: draft.into(),
    })
}

/// The device itself is created or updated, becomes MANAGED, and needs its first configuration.
fn device_effects(event: &DeviceProvisioned, subject: Subject<'_>, version: &Version) -> Vec<DeviceEffect> {
    let mut effects = match subject {
        Subject::Removed => return Vec::new(),
        Subject::New => vec![DeviceEffect::Create {
            hostname: event.hostname.clone(),
            attributes: described(event, Attributes::of(event.device_type.clone())),
            state: DeviceState::Managed,
            version: Some(version.clone()),
        }],
        Subject::Known(row) => {
            let attributes = described(event, row.attributes.clone());
            let mut effects = vec![DeviceEffect::Describe {
                hostname: row.hostname.clone(),
                attributes,
            }];
            effects.extend(move_effects(row, DeviceState::Managed, version));
            effects
        }
    };
    let hostname = match subject {
        Subject::Known(row) => &row.hostname,
        Subject::New | Subject::Removed => &event.hostname,
    };
    effects.push(unsynchronize(hostname, Cause::DeviceInit));
    effects
}

/// The attributes in the event, over those known before.
fn described(event: &DeviceProvisioned, known: Attributes) -> Attributes {
    Attributes {
        device_type: event.device_type.clone(),
        platform: Some(event.platform.clone()),
        management_ip: event.management_ip.or(known.management_ip),
        mac: event.mac.clone().or(known.mac),
        serial: event.serial.clone().or(known.serial),
        ..known
    }
}

/// `hostname` is the present name of the device.
fn reject_conflicts(
    event: &DeviceProvisioned,
    subject: Subject<'_>,
    hostname: &Hostname,
    facts: &Facts,
) -> Result<(), Rejection> {
    if !matches!(subject, Subject::Removed) {
        let claimed = DeviceIdentities::new(facts).claim(hostname, event.mac.as_ref(), event.serial.as_ref());
        if let Err(IdentityConflict { field, reason }) = claimed {
            return Err(Rejection::new(
                Code::IdentityConflict,
                format!("$.data.{field}"),
                reason,
            ));
        }
    }
    let is_itself = |neighbor: &ProvisionedNeighbor| {
        let present = facts.device_of_event(&neighbor.neighbor_hostname);
        neighbor.neighbor_hostname == event.hostname || present.is_some_and(|row| row.hostname == *hostname)
    };
    if let Some(index) = event.neighbors.iter().position(is_itself) {
        let place = format!("$.data.neighbors[{index}].neighbor_hostname");
        return Err(Rejection::new(
            Code::InvalidData,
            place,
            "a device cannot be its own neighbour",
        ));
    }
    Ok(())
}

/// The ends of the link to a neighbour, by these names of the devices.
fn ends(here: &Hostname, neighbor: &ProvisionedNeighbor, there: &Hostname) -> [LinkEnd; 2] {
    let here = LinkEnd {
        hostname: here.clone(),
        interface: neighbor.interface.clone(),
    };
    let there = LinkEnd {
        hostname: there.clone(),
        interface: neighbor.neighbor_interface.clone(),
    };
    [here, there]
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Envelope, Kind, Mac};
    use serde_json::{Value, json};

    use super::super::fixtures::{device, facts, flips, hostname, message, process, version};
    use super::*;

    fn provisioned(neighbors: &Value) -> Envelope {
        let data = json!({
            "hostname": "new1", "device_type": "DIST", "platform": "eos", "management_ip": "192.0.2.7",
            "mac": "44:4c:a8:00:00:07", "serial": "S7", "neighbors": neighbors,
        });
        message(Kind::DeviceProvisioned, 10, &data)
    }

    fn neighbor(interface: &str, hostname: &str, other: &str) -> Value {
        json!({"interface": interface, "neighbor_hostname": hostname, "neighbor_interface": other})
    }

    fn link_to(name: &str) -> Link {
        let end = |hostname: &str, interface: &str| LinkEnd {
            hostname: hostname.parse().unwrap(),
            interface: interface.to_owned().try_into().unwrap(),
        };
        Link::between(end("new1", "Ethernet1"), end(name, "Ethernet9"))
    }

    #[test]
    fn a_new_device_becomes_managed_and_unsynchronized() {
        let mut facts = facts([]);
        let (decision, flipped) = process(&provisioned(&json!([])), &mut facts).unwrap();
        let row = facts.device(&hostname("new1")).unwrap();
        assert_eq!(row.lifecycle.state, DeviceState::Managed);
        assert!(!row.sync.synchronized());
        assert_eq!(row.attributes.platform.as_deref(), Some("eos"));
        assert_eq!(flipped, flips(&[]), "it had no flag before");
        assert_eq!(decision.event_applied().devices, flips(&["new1"]));
    }

    #[test]
    fn a_missing_link_is_created_and_flags_both_ends() {
        let mut facts = facts([device("core1", |_| ())]);
        let (decision, flipped) = process(
            &provisioned(&json!([neighbor("Ethernet1", "core1", "Ethernet9")])),
            &mut facts,
        )
        .unwrap();
        assert_eq!(decision.effects.links[0].link, link_to("core1"));
        assert_eq!(decision.effects.links.len(), 1);
        assert_eq!(flipped, flips(&["core1"]));
        assert_eq!(decision.event_applied().devices, flips(&["core1", "new1"]));
        let causes = |name: &str| -> Vec<Cause> {
            let row = facts.device(&hostname(name)).unwrap();
            row.causes
                .iter()
                .map(|index| facts.new_causes()[*index].cause)
                .collect()
        };
        assert_eq!(causes("core1"), [Cause::LinknetCreated]);
        assert_eq!(causes("new1"), [Cause::DeviceInit, Cause::LinknetCreated]);
    }

    #[test]
    fn a_neighbour_that_has_a_link_is_not_flagged() {
        let mut facts = facts([device("core1", |_| ())]);
        facts.add_link(link_to("core1"), true, None);
        let twice = json!([
            neighbor("Ethernet1", "core1", "Ethernet9"),
            neighbor("Ethernet1", "core1", "Ethernet9")
        ]);
        let (decision, flipped) = process(&provisioned(&twice), &mut facts).unwrap();
        assert_eq!(
            decision.effects.links.len(),
            1,
            "it is known to exist at that time"
        );
        assert_eq!(flipped, flips(&[]));
        assert_eq!(decision.event_applied().devices, flips(&["new1"]));
    }

    #[test]
    fn the_same_neighbour_twice_is_one_link() {
        let mut facts = facts([device("core1", |_| ())]);
        let twice = json!([
            neighbor("Ethernet1", "core1", "Ethernet9"),
            neighbor("Ethernet1", "core1", "Ethernet9")
        ]);
        let (decision, _) = process(&provisioned(&twice), &mut facts).unwrap();
        assert_eq!(decision.effects.links.len(), 1);
        assert_eq!(facts.device(&hostname("core1")).unwrap().sync.desired, 2);
    }

    #[test]
    fn an_unknown_neighbour_is_only_reported() {
        let mut facts = facts([]);
        let (decision, _) = process(
            &provisioned(&json!([neighbor("Ethernet1", "ghost", "Ethernet9")])),
            &mut facts,
        )
        .unwrap();
        assert!(decision.effects.links.is_empty());
        assert_eq!(decision.event_applied().unknown_hostnames, flips(&["ghost"]));
    }

    #[test]
    fn a_known_device_is_updated_and_an_older_event_leaves_its_state() {
        let known = device("new1", |row| {
            row.lifecycle.state = DeviceState::Unmanaged;
            row.lifecycle.version = Some(version(20));
            row.attributes.vendor = Some("Arista".to_owned());
        });
        let mut facts = facts([known]);
        process(&provisioned(&json!([])), &mut facts).unwrap();
        let row = facts.device(&hostname("new1")).unwrap();
        assert_eq!(row.lifecycle.state, DeviceState::Unmanaged);
        assert_eq!(row.attributes.serial.as_ref().unwrap().as_str(), "S7");
        assert_eq!(row.attributes.vendor.as_deref(), Some("Arista"));
    }

    #[test]
    fn a_mac_address_of_another_device_is_rejected_with_its_place() {
        let other = device("old1", |row| {
            row.attributes.mac = Some(Mac::try_from("44:4c:a8:00:00:07".to_owned()).unwrap());
        });
        let rejection = process(&provisioned(&json!([])), &mut facts([other])).unwrap_err();
        assert_eq!(
            (rejection.code, rejection.place.as_str()),
            (Code::IdentityConflict, "$.data.mac")
        );
        let rejection = process(
            &provisioned(&json!([neighbor("Ethernet1", "new1", "Ethernet2")])),
            &mut facts([]),
        )
        .unwrap_err();
        assert_eq!(rejection.place, "$.data.neighbors[0].neighbor_hostname");
    }
}
