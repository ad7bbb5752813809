//! `lockstep.device.provisioned`: a device came up by zero-touch provisioning. It becomes MANAGED and unsynchronized. A
//! link is created to every known neighbour that has none, and the devices at both its ends are flagged
//! (`docs/sync-rules.md`).

use std::collections::BTreeSet;

use lockstep_protocol::events::{DeviceProvisioned, ProvisionedNeighbor};
use lockstep_protocol::results::Scope;
use lockstep_protocol::{Cause, Code, DeviceState, Hostname};

use super::device_identity::{DeviceIdentities, IdentityConflict};
use super::device_state::move_effects;
use super::{Decision, EventAppliedDraft, Handler, HandlerContext, Rejection, device_type};
use lockstep_store::{Attributes, DeviceEffect, Effects, Facts, Keys, Link, LinkChange, LinkEnd, Version};

impl Handler for DeviceProvisioned {
    fn keys(&self, keys: &mut Keys) {
        let neighbors = self
            .neighbors
            .iter()
            .map(|neighbor| neighbor.neighbor_hostname.clone());
        keys.hostnames.extend(neighbors.chain([self.hostname.clone()]));
        keys.macs.extend(self.mac.iter().cloned());
        keys.serials.extend(self.serial.iter().cloned());
        keys.links_of.insert(self.hostname.clone());
        keys.group_rules = true;
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        device_type::check(&self.device_type, context.types(), "$.data.device_type")?;
        let mut decision = decide(self, &context.version(), facts)?;
        if facts.device(&self.hostname).is_none() {
            let joined = context.join_by_rule(facts, [self.hostname.clone()]);
            decision.effects.devices.extend(joined);
        }
        Ok(decision)
    }
}

fn decide(event: &DeviceProvisioned, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    reject_conflicts(event, facts)?;
    let mut effects = Effects {
        devices: device_effects(event, version, facts),
        ..Effects::default()
    };
    let mut flagged = BTreeSet::from([event.hostname.clone()]);
    let mut unknown = BTreeSet::new();

    for neighbor in &event.neighbors {
        let hostname = &neighbor.neighbor_hostname;
        if facts.device(hostname).is_none() {
            unknown.insert(hostname.clone());
            continue;
        }
        let link = link(event, neighbor);
        if facts.has_link(&link) || effects.links.iter().any(|change| change.link == link) {
            continue;
        }
        effects.links.push(LinkChange {
            link,
            present: true,
            version: Some(version.clone()),
        });
        if flagged.insert(hostname.clone()) {
            effects
                .devices
                .push(unsynchronize(hostname, Cause::LinknetCreated));
        }
    }
    if !effects.links.is_empty() {
        effects
            .devices
            .push(unsynchronize(&event.hostname, Cause::LinknetCreated));
    }
    let draft = EventAppliedDraft {
        unknown_hostnames: unknown,
        ..EventAppliedDraft::applied(Scope::Devices, flagged)
    };
    Ok(Decision {
        effects,
        result: draft.into(),
    })
}

/// The device itself is created or updated, becomes MANAGED, and needs its first configuration.
fn device_effects(event: &DeviceProvisioned, version: &Version, facts: &Facts) -> Vec<DeviceEffect> {
    let hostname = event.hostname.clone();
    let mut effects = match facts.device(&hostname) {
        None => vec![DeviceEffect::Create {
            hostname: hostname.clone(),
            attributes: described(event, Attributes::of(event.device_type.clone())),
            state: DeviceState::Managed,
            version: Some(version.clone()),
        }],
        Some(row) => {
            let attributes = described(event, row.attributes.clone());
            let mut effects = vec![DeviceEffect::Describe {
                hostname: hostname.clone(),
                attributes,
            }];
            effects.extend(move_effects(row, DeviceState::Managed, version));
            effects
        }
    };
    effects.push(unsynchronize(&hostname, Cause::DeviceInit));
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

fn reject_conflicts(event: &DeviceProvisioned, facts: &Facts) -> Result<(), Rejection> {
    let claimed =
        DeviceIdentities::new(facts).claim(&event.hostname, event.mac.as_ref(), event.serial.as_ref());
    if let Err(IdentityConflict { field, reason }) = claimed {
        return Err(Rejection::new(
            Code::IdentityConflict,
            format!("$.data.{field}"),
            reason,
        ));
    }
    if let Some(index) = event
        .neighbors
        .iter()
        .position(|neighbor| neighbor.neighbor_hostname == event.hostname)
    {
        let place = format!("$.data.neighbors[{index}].neighbor_hostname");
        return Err(Rejection::new(
            Code::InvalidData,
            place,
            "a device cannot be its own neighbour",
        ));
    }
    Ok(())
}

fn link(event: &DeviceProvisioned, neighbor: &ProvisionedNeighbor) -> Link {
    let here = LinkEnd {
        hostname: event.hostname.clone(),
        interface: neighbor.interface.clone(),
    };
    let there = LinkEnd {
        hostname: neighbor.neighbor_hostname.clone(),
        interface: neighbor.neighbor_interface.clone(),
    };
    Link::between(here, there)
}

fn unsynchronize(hostname: &Hostname, cause: Cause) -> DeviceEffect {
    DeviceEffect::Unsynchronize {
        hostname: hostname.clone(),
        cause,
    }
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
        assert!(decision.effects.links.is_empty());
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
