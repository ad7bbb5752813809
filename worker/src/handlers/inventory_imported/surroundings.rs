//! The links and the management domains of an inventory.
//!
//! What the inventory says for the first time flags no device: whether the devices are synchronized is what the inventory says about
//! them. What differs from what was known flags them, as the events do. What is known from a newer message stays, and so do addresses
//! that the inventory does not name.

use std::collections::BTreeSet;

use lockstep_protocol::events::{ImportedLink, ImportedManagementDomain, InventoryImported, LinknetEnd};
use lockstep_protocol::{Cause, Code, Hostname, InterfaceAddress};
use lockstep_store::{
    Facts, Keys, Link, LinkChange, LinkEnd, ManagementDomain, ManagementDomainChange, Version,
};

use super::super::Rejection;
use super::super::flagged::Flagged;

/// What links and management domains change.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) links: Vec<LinkChange>,
    pub(super) management_domains: Vec<ManagementDomainChange>,
    pub(super) flagged: Flagged,
    /// Hostnames that no device has. What names them is left out.
    pub(super) unknown: BTreeSet<Hostname>,
}

pub(super) fn keys(event: &InventoryImported, keys: &mut Keys) {
    for end in event.links.iter().flat_map(|link| [&link.a, &link.b]) {
        keys.hostnames.insert(end.hostname.clone());
        keys.links_at.insert(link_end(end));
    }
    for domain in &event.management_domains {
        keys.hostnames
            .extend([domain.device_a.clone(), domain.device_b.clone()]);
        keys.management_domains.insert(domain.id);
    }
}

/// `is_known` tells whether there is a device, or will be.
pub(super) fn decide(
    event: &InventoryImported,
    version: &Version,
    facts: &Facts,
    is_known: impl Fn(&Hostname) -> bool,
) -> Result<Surroundings, Rejection> {
    check(event)?;
    let mut surroundings = Surroundings::default();
    let mut are_known = |names: [&Hostname; 2]| {
        let unknown: Vec<&Hostname> = names.into_iter().filter(|name| !is_known(name)).collect();
        surroundings
            .unknown
            .extend(unknown.iter().map(|name| (*name).clone()));
        unknown.is_empty()
    };
    let links: Vec<&ImportedLink> = event
        .links
        .iter()
        .filter(|link| are_known([&link.a.hostname, &link.b.hostname]))
        .collect();
    let domains: Vec<&ImportedManagementDomain> = event
        .management_domains
        .iter()
        .filter(|domain| are_known([&domain.device_a, &domain.device_b]))
        .collect();
    for link in links {
        surroundings.link(link, version, facts);
    }
    for domain in domains {
        surroundings.management_domain(domain, version, facts);
    }
    Ok(surroundings)
}

/// An interface has one link at most, and two devices serve a domain.
fn check(event: &InventoryImported) -> Result<(), Rejection> {
    let mut ends = BTreeSet::new();
    for (index, link) in event.links.iter().enumerate() {
        for (field, end) in [("a", &link.a), ("b", &link.b)] {
            if !ends.insert((&end.hostname, &end.interface)) {
                let reason = format!(
                    "{} of {} is the end of two links; an interface has one at most",
                    end.interface, end.hostname
                );
                let place = format!("$.data.links[{index}].{field}");
                return Err(Rejection::new(Code::InvalidData, place, reason));
            }
        }
    }
    for (index, domain) in event.management_domains.iter().enumerate() {
        if domain.device_a == domain.device_b {
            let reason = format!(
                "{} is named twice; two devices serve a management domain",
                domain.device_a
            );
            let place = format!("$.data.management_domains[{index}].device_b");
            return Err(Rejection::new(Code::InvalidData, place, reason));
        }
    }
    Ok(())
}

impl Surroundings {
    fn link(&mut self, imported: &ImportedLink, version: &Version, facts: &Facts) {
        let end = |end: &LinknetEnd| (link_end(end), end.address.clone());
        let (link, addresses) = Link::with_addresses(end(&imported.a), end(&imported.b));
        let addresses = addresses.iter().any(Option::is_some).then_some(addresses);
        let known = facts.link(&link);
        if known.is_some_and(|row| row.version.as_ref() >= Some(version)) {
            return;
        }
        let ends = link.ends().map(|end| end.hostname.clone());
        if let Some(row) = known.filter(|row| row.present) {
            if addresses.as_ref().is_none_or(|said| *said == row.addresses) {
                return;
            }
            if row.addresses.iter().any(Option::is_some) {
                self.flagged.flag_all(&ends, Cause::LinknetUpdated);
            }
        } else {
            let replaced: Vec<&Hostname> = facts
                .links_replaced_by(&link, version)
                .flat_map(Link::ends)
                .map(|end| &end.hostname)
                .collect();
            if known.is_some() || !replaced.is_empty() {
                self.flagged.flag_all(&ends, Cause::LinknetCreated);
            }
            self.flagged.flag_all(replaced, Cause::LinknetDeleted);
        }
        self.links.push(LinkChange {
            link,
            present: true,
            version: Some(version.clone()),
            addresses,
        });
    }

    fn management_domain(&mut self, imported: &ImportedManagementDomain, version: &Version, facts: &Facts) {
        let domain = domain(imported);
        if let Some(row) = facts.management_domain(imported.id) {
            if row.version.as_ref() >= Some(version) || row.domain.as_ref() == Some(&domain) {
                return;
            }
            let cause = match &row.domain {
                None => Cause::MgmtdomainCreated,
                Some(before) => {
                    self.flagged.flag_all(&before.devices, Cause::MgmtdomainUpdated);
                    Cause::MgmtdomainUpdated
                }
            };
            self.flagged.flag_all(&domain.devices, cause);
        }
        self.management_domains.push(ManagementDomainChange {
            id: imported.id,
            domain: Some(domain),
            version: version.clone(),
        });
    }
}

fn link_end(end: &LinknetEnd) -> LinkEnd {
    LinkEnd {
        hostname: end.hostname.clone(),
        interface: end.interface.clone(),
    }
}

fn domain(imported: &ImportedManagementDomain) -> ManagementDomain {
    let text = |address: &InterfaceAddress| address.as_str().to_owned();
    ManagementDomain {
        id: imported.id,
        devices: [imported.device_a.clone(), imported.device_b.clone()],
        addresses: [imported.device_a_ip, imported.device_b_ip],
        ipv4_gateway: imported.ipv4_gw.as_ref().map(text),
        ipv6_gateway: imported.ipv6_gw.as_ref().map(text),
        vlan: imported.vlan,
        description: imported.description.clone(),
        esi_mac: imported.esi_mac.as_ref().map(|mac| mac.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Envelope, Kind};
    use lockstep_store::{DeviceEffect, Effects};
    use serde_json::{Value, json};

    use super::super::super::fixtures::{causes, device, facts, flips, hostname, link, message, process};
    use super::*;

    fn fleet() -> Facts {
        facts(["a1", "b1", "c1", "d1"].map(|name| device(name, |_| ())))
    }

    fn import(second: i64, data: &Value) -> Envelope {
        message(Kind::InventoryImported, second, data)
    }

    fn linked(second: i64, ends: [(&str, &str, Option<&str>); 2]) -> Envelope {
        let [a, b] = ends.map(|(hostname, interface, address)| {
            json!({"hostname": hostname, "interface": interface, "address": address})
        });
        import(second, &json!({"links": [{"a": a, "b": b}]}))
    }

    fn domain(second: i64, a: &str, b: &str, vlan: u16) -> Envelope {
        let domain = json!({"id": 4, "device_a": a, "device_b": b, "vlan": vlan, "ipv4_gw": "10.0.6.1/24"});
        import(second, &json!({"management_domains": [domain]}))
    }

    #[test]
    fn a_link_that_is_new_flags_nobody_and_an_unchanged_one_writes_nothing() {
        let mut facts = fleet();
        let ends = [
            ("b1", "E1", Some("10.0.0.1/31")),
            ("a1", "E1", Some("10.0.0.0/31")),
        ];
        let (_, flipped) = process(&linked(10, ends), &mut facts).unwrap();
        let the_link = link(("a1", "E1"), ("b1", "E1"));
        assert_eq!((flipped, facts.has_link(&the_link)), (flips(&[]), true));
        let addresses = facts.link(&the_link).unwrap().addresses.clone();
        assert_eq!(
            addresses.map(|address| address.unwrap().as_str().to_owned()),
            ["10.0.0.0/31", "10.0.0.1/31"],
            "in the order of its ends"
        );
        for again in [ends, [("a1", "E1", None), ("b1", "E1", None)]] {
            let (decision, _) = process(&linked(20, again), &mut facts).unwrap();
            assert_eq!(decision.effects, Effects::default());
            assert!(decision.event_applied().ignored.is_some());
        }
    }

    #[test]
    fn an_address_that_changed_flags_both_ends_and_one_that_is_told_first_does_not() {
        let mut facts = fleet();
        let the_link = link(("a1", "E1"), ("b1", "E1"));
        facts.add_link(the_link.clone(), true, None);
        for (second, address, expected) in [(10, "10.0.0.0/31", &[][..]), (20, "10.9.0.0/31", &["a1", "b1"])]
        {
            let (_, flipped) = process(
                &linked(second, [("a1", "E1", Some(address)), ("b1", "E1", None)]),
                &mut facts,
            )
            .unwrap();
            assert_eq!(flipped, flips(expected), "{address}");
            let row = facts.link(&the_link).unwrap();
            assert_eq!(row.addresses[0].as_ref().unwrap().as_str(), address);
        }
        assert_eq!(causes(&facts, "a1"), [Cause::LinknetUpdated]);
        // What is known is newer.
        let old = linked(15, [("a1", "E1", Some("10.7.0.0/31")), ("b1", "E1", None)]);
        let (decision, _) = process(&old, &mut facts).unwrap();
        assert_eq!(decision.effects, Effects::default());
    }

    #[test]
    fn a_link_that_replaces_others_flags_all_their_ends() {
        let mut facts = fleet();
        let replaced = link(("a1", "E1"), ("c1", "E5"));
        facts.add_link(replaced.clone(), true, None);
        let new = linked(10, [("a1", "E1", None), ("b1", "E1", None)]);
        let (_, flipped) = process(&new, &mut facts).unwrap();
        assert_eq!(flipped, flips(&["a1", "b1", "c1"]));
        assert_eq!(causes(&facts, "c1"), [Cause::LinknetDeleted]);
        assert!(!facts.has_link(&replaced));
    }

    #[test]
    fn a_domain_flags_who_serves_it_and_who_served_it_only_when_it_changed() {
        let mut facts = fleet();
        for (second, a, b, vlan, expected) in [
            (10, "a1", "b1", 600, &[][..]),
            (20, "a1", "b1", 600, &[]),
            (5, "a1", "d1", 7, &[]),
            (30, "a1", "c1", 600, &["a1", "b1", "c1"]),
        ] {
            let (_, flipped) = process(&domain(second, a, b, vlan), &mut facts).unwrap();
            assert_eq!(flipped, flips(expected), "{second}");
        }
        let row = facts.management_domain(4).unwrap();
        let known = row.domain.as_ref().unwrap();
        assert_eq!(known.devices, [hostname("a1"), hostname("c1")]);
        assert_eq!(known.ipv4_gateway.as_deref(), Some("10.0.6.1/24"));
        assert_eq!(row.version.as_ref().unwrap().time.as_second(), 30);
    }

    #[test]
    fn what_names_an_unknown_device_is_left_out_and_told() {
        let mut facts = fleet();
        let data = json!({
            "devices": [{"hostname": "n1", "device_type": "DIST", "synchronized": true}],
            "links": [
                {"a": {"hostname": "a1", "interface": "E1"}, "b": {"hostname": "x9", "interface": "E1"}},
                {"a": {"hostname": "a1", "interface": "E2"}, "b": {"hostname": "n1", "interface": "E1"}},
            ],
            "management_domains": [
                {"id": 1, "device_a": "a1", "device_b": "x8"}, {"id": 2, "device_a": "a1", "device_b": "n1"},
            ],
        });
        let (decision, _) = process(&import(10, &data), &mut facts).unwrap();
        let unknown = &decision.event_applied().unknown_hostnames;
        assert_eq!(*unknown, flips(&["x8", "x9"]));
        assert_eq!(decision.effects.links.len(), 1);
        assert!(facts.has_link(&link(("a1", "E2"), ("n1", "E1"))));
        assert!(facts.management_domain(1).is_none() && facts.management_domain(2).is_some());
        assert!(facts.device(&hostname("n1")).unwrap().sync.synchronized());
    }

    #[test]
    fn an_interface_with_two_links_and_a_domain_of_one_device_are_refused_with_their_place() {
        let end = |interface: &str, hostname: &str| json!({"hostname": hostname, "interface": interface});
        for (data, place) in [
            (
                json!({"links": [{"a": end("E1", "a1"), "b": end("E1", "a1")}]}),
                "$.data.links[0].b",
            ),
            (
                json!({"links": [
                    {"a": end("E1", "a1"), "b": end("E1", "b1")}, {"a": end("E1", "a1"), "b": end("E1", "c1")},
                ]}),
                "$.data.links[1].a",
            ),
            (
                json!({"management_domains": [{"id": 1, "device_a": "a1", "device_b": "a1"}]}),
                "$.data.management_domains[0].device_b",
            ),
        ] {
            let rejection = process(&import(10, &data), &mut fleet()).unwrap_err();
            assert_eq!(
                (rejection.code, rejection.place.as_str()),
                (Code::InvalidData, place)
            );
        }
    }

    #[test]
    fn data_is_replaced_and_written_only_if_it_changed() {
        let mut facts = fleet();
        let entry =
            |name: &str, data: &Value| json!({"hostname": name, "device_type": "ACCESS", "data": data});
        let mut set = |second: i64, name: &str, data: &Value| {
            let envelope = import(second, &json!({"devices": [entry(name, data)]}));
            let (decision, flipped) = process(&envelope, &mut facts).unwrap();
            assert!(
                name == "new" || flipped.is_empty(),
                "other attributes flag nothing either"
            );
            let effects = decision.effects.devices;
            let set = |effect: &DeviceEffect| matches!(effect, DeviceEffect::SetData { .. });
            effects.iter().filter(|effect| set(effect)).count()
        };
        for (second, name, data, expected) in [
            (10, "a1", json!({"infra_ip": "10.0.0.1"}), 1),
            (11, "a1", json!({"infra_ip": "10.0.0.1"}), 0),
            (12, "a1", json!(null), 0),
            (13, "a1", json!({}), 1),
            (14, "b1", json!({}), 0),
            (15, "new", json!({"a": 1}), 1),
        ] {
            assert_eq!(set(second, name, &data), expected, "{second}");
        }
    }
}
