//! Reads the lists of objects of NetBox and Nautobot, by the same rules as their webhooks.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use lockstep_dcim::{Action, Event, Mapped, MappingRules, Model, ObjectChange, System, map};
use lockstep_protocol::Hostname;
use lockstep_protocol::events::{ImportedInterface, ImportedLink};
use serde_json::Value;

use super::{Entry, Inventory};

/// The lists of an instance of NetBox or Nautobot.
#[derive(Debug)]
pub(crate) struct DcimObjects {
    pub(crate) devices: Vec<Value>,
    pub(crate) interfaces: Vec<Value>,
    pub(crate) cables: Vec<Value>,
}

/// The devices, interfaces and links that the rules accept. What they ignore is counted in the warnings, by reason.
pub(crate) fn read(system: System, rules: &MappingRules, objects: DcimObjects) -> Inventory {
    let mut ignored: BTreeMap<String, usize> = BTreeMap::new();
    let mut inventory = Inventory::default();
    let mut places: HashMap<Hostname, usize> = HashMap::new();
    let mut events = |model: &Model, object: Value| match map(&created(system, model.clone(), object), rules)
    {
        Mapped::Events(events) => events,
        Mapped::Ignored(reason) => {
            *ignored.entry(reason).or_default() += 1;
            Vec::new()
        }
    };
    let by_id: HashMap<String, Value> = match system {
        System::NetBox => HashMap::new(),
        // Nautobot does not name the devices at the ends of cables.
        System::Nautobot => objects
            .interfaces
            .iter()
            .map(|object| (object["id"].to_string(), object.clone()))
            .collect(),
    };
    for object in objects.devices {
        for event in events(&Model::Device, object) {
            let Event::Imported(imported) = event else {
                continue;
            };
            for device in imported.devices {
                places.insert(device.hostname.clone(), inventory.entries.len());
                inventory.entries.push(Entry {
                    device,
                    interfaces: Vec::new(),
                });
            }
        }
    }
    for object in objects.interfaces {
        for event in events(&Model::Interface, object) {
            let Event::InterfaceUpdated(updated) = event else {
                continue;
            };
            let Some(&place) = places.get(&updated.hostname) else {
                continue;
            };
            let interfaces = updated.interfaces.into_iter().map(|interface| ImportedInterface {
                hostname: updated.hostname.clone(),
                name: interface.name,
                configuration: interface.configuration,
            });
            inventory.entries[place].interfaces.extend(interfaces);
        }
    }
    for mut object in objects.cables {
        for end in ["termination_a", "termination_b"] {
            if let Some(interface) = by_id.get(&object[format!("{end}_id")].to_string()) {
                object[end] = interface.clone();
            }
        }
        for event in events(&Model::Cable, object) {
            let Event::LinknetChanged(link) = event else {
                continue;
            };
            if [&link.a, &link.b]
                .into_iter()
                .all(|end| places.contains_key(&end.hostname))
            {
                inventory.links.push(ImportedLink { a: link.a, b: link.b });
            }
        }
    }
    let warning = |(reason, count): (String, usize)| format!("{count} ignored: {reason}");
    inventory.warnings = ignored.into_iter().map(warning).collect();
    inventory
}

fn created(system: System, model: Model, object: Value) -> ObjectChange {
    ObjectChange {
        system,
        action: Action::Created,
        model,
        object_id: object["id"].to_string(),
        object,
        before: None,
        after: None,
        request_id: None,
        revision: None,
        at: Timestamp::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_become_devices_with_their_interfaces_and_links() {
        let role = |slug: &str| json!({"slug": slug, "name": slug});
        let device = |id: u64, name: &str, of: &str| json!({"id": id, "name": name, "role": role(of), "status": {"value": "active"}});
        let interface = |id: u64, device: &str| json!({"id": id, "name": "Ethernet1", "device": {"id": 1, "name": device}, "enabled": true});
        let end = |id: u64, device: &str| json!([{"object_type": "dcim.interface", "object": interface(id, device)}]);
        let cable = |a: &str, b: &str| json!({"id": 9, "a_terminations": end(1, a), "b_terminations": end(2, b), "status": {"value": "connected"}});
        let rules = MappingRules {
            device_types: [("access".to_owned(), "ACCESS".parse().unwrap())].into(),
            ..MappingRules::of_source("main")
        };
        let objects = DcimObjects {
            devices: vec![
                device(1, "sw1", "access"),
                device(2, "sw2", "access"),
                device(3, "pdu1", "pdu"),
                device(4, "pdu2", "pdu"),
            ],
            interfaces: vec![interface(1, "sw1"), interface(2, "sw2"), interface(3, "pdu1")],
            cables: vec![cable("sw1", "sw2"), cable("sw1", "pdu1")],
        };
        let inventory = read(System::NetBox, &rules, objects);
        let names: Vec<&str> = inventory
            .entries
            .iter()
            .map(|entry| entry.device.hostname.as_str())
            .collect();
        assert_eq!(names, ["sw1", "sw2"]);
        assert!(inventory.entries.iter().all(|entry| entry.interfaces.len() == 1));
        assert_eq!(
            inventory.links.len(),
            1,
            "a link to a device that is not imported is left out"
        );
        assert_eq!(inventory.warnings.len(), 1, "{:?}", inventory.warnings);
        assert!(
            inventory.warnings[0].starts_with("2 ignored: the role \"pdu\""),
            "{:?}",
            inventory.warnings
        );
    }
}
