use std::collections::{BTreeMap, HashMap};

use lockstep_protocol::events::{ImportedInterface, ImportedLink, ImportedManagementDomain, LinknetEnd};
use lockstep_protocol::{DeviceType, Hostname};
use lockstep_render::{
    DeviceFacts, InterfaceFacts, LinkFacts, ManagementDomainFacts, PeerFacts, RenderError, SettingsSet,
    domains_of, mlag_peer,
};
use serde_json::Value;

use crate::inventory::{Entry, Inventory};

/// The devices of an inventory with what surrounds each of them.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// By hostname in lower case.
    devices: BTreeMap<String, Device>,
    links: HashMap<String, Vec<(LinknetEnd, LinknetEnd)>>,
    domains: Vec<ManagementDomainFacts>,
    cores: Vec<PeerFacts>,
}

#[derive(Debug)]
struct Device {
    /// Its place in the inventory, from 1: an inventory has no other number.
    id: u64,
    entry: Entry,
}

impl Surroundings {
    pub(crate) fn new(inventory: Inventory) -> Self {
        let Inventory {
            entries,
            links,
            management_domains: domains,
            warnings: _,
        } = inventory;
        let devices = (1..).zip(entries);
        let devices = devices.map(|(id, entry)| (entry.device.hostname.folded(), Device { id, entry }));
        let devices: BTreeMap<String, Device> = devices.collect();
        let mut of_devices: HashMap<String, Vec<(LinknetEnd, LinknetEnd)>> = HashMap::new();
        for ImportedLink { a, b } in links {
            for (own, other) in [(&a, &b), (&b, &a)] {
                let links = of_devices.entry(own.hostname.folded()).or_default();
                links.push((own.clone(), other.clone()));
            }
        }
        for links in of_devices.values_mut() {
            links.sort_by(|(own, _), (other, _)| own.interface.cmp(&other.interface));
        }
        let mut domains: Vec<ManagementDomainFacts> = domains.into_iter().map(domain).collect();
        domains.sort_by_key(|domain| domain.id);
        let cores = devices
            .values()
            .filter(|device| device.entry.device.device_type == DeviceType::CORE);
        Self {
            cores: cores.map(Device::as_peer).collect(),
            devices,
            links: of_devices,
            domains,
        }
    }

    /// What is known about a device; none if the inventory does not have it.
    pub(crate) fn facts(&self, hostname: &Hostname) -> Option<DeviceFacts> {
        let device = self.devices.get(&hostname.folded())?;
        let imported = &device.entry.device;
        let mut interfaces: Vec<InterfaceFacts> = device.entry.interfaces.iter().map(interface).collect();
        interfaces.sort_by(|one, other| one.name.cmp(&other.name));
        let links = self
            .links
            .get(&hostname.folded())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let links = links.iter().filter_map(|(own, other)| {
            let address = |end: &LinknetEnd| end.address.as_ref().map(ToString::to_string);
            Some(LinkFacts {
                interface: own.interface.clone(),
                address: address(own),
                peer: self.devices.get(&other.hostname.folded())?.as_peer(),
                peer_interface: other.interface.clone(),
                peer_address: address(other),
            })
        });
        let links: Vec<LinkFacts> = links.collect();
        let data = imported.data.clone().unwrap_or_default();
        Some(DeviceFacts {
            id: device.id,
            hostname: imported.hostname.clone(),
            device_type: imported.device_type.clone(),
            platform: imported.platform.clone(),
            model: imported.model.clone(),
            os_version: imported.os_version.clone(),
            management_ip: imported.management_ip,
            primary_group: None,
            groups: imported.groups.iter().flatten().cloned().collect(),
            interfaces,
            mlag_peer: mlag_peer(&imported.device_type, &links),
            management_domains: domains_of(&imported.hostname, imported.management_ip, &data, &self.domains),
            data,
            links,
            cores: self.cores.clone(),
            named: Vec::new(),
        })
    }

    /// Adds the devices that the settings of a device name.
    ///
    /// # Errors
    /// If the settings are not valid.
    pub(crate) fn add_named(
        &self,
        device: &mut DeviceFacts,
        settings: &SettingsSet,
    ) -> Result<(), RenderError> {
        let names = settings.unknown_peers(device).map_err(RenderError::Files)?;
        let known = names.iter().filter_map(|name| self.devices.get(&name.folded()));
        device.named.extend(known.map(Device::as_peer));
        Ok(())
    }

    /// All hostnames, in order.
    pub(crate) fn hostnames(&self) -> Vec<&Hostname> {
        self.devices
            .values()
            .map(|device| &device.entry.device.hostname)
            .collect()
    }
}

impl Device {
    fn as_peer(&self) -> PeerFacts {
        let device = &self.entry.device;
        PeerFacts {
            id: self.id,
            hostname: device.hostname.clone(),
            device_type: device.device_type.clone(),
            model: device.model.clone(),
            data: device.data.clone().unwrap_or_default(),
            primary_group: None,
            groups: device.groups.iter().flatten().cloned().collect(),
        }
    }
}

fn interface(interface: &ImportedInterface) -> InterfaceFacts {
    InterfaceFacts {
        name: interface.name.clone(),
        configuration: interface.configuration.clone().unwrap_or(Value::Null),
    }
}

fn domain(domain: ImportedManagementDomain) -> ManagementDomainFacts {
    ManagementDomainFacts {
        id: domain.id,
        devices: [domain.device_a, domain.device_b],
        addresses: [domain.device_a_ip, domain.device_b_ip],
        ipv4_gateway: domain.ipv4_gw.map(|gateway| gateway.to_string()),
        ipv6_gateway: domain.ipv6_gw.map(|gateway| gateway.to_string()),
        vlan: domain.vlan,
        description: domain.description,
        esi_mac: domain.esi_mac.map(|mac| mac.to_string()),
    }
}
