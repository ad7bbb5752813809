use std::net::IpAddr;

use ipnet::IpNet;
use lockstep_protocol::{DeviceType, GroupName, Hostname, InterfaceName};
use serde_json::{Map, Value};

/// What is known about a device and its surroundings: what its variables are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceFacts {
    /// Its id.
    pub id: u64,
    /// Its hostname.
    pub hostname: Hostname,
    /// Its type.
    pub device_type: DeviceType,
    /// Its platform, such as `eos`: the folder of its templates.
    pub platform: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// The operating system version it runs.
    pub os_version: Option<String>,
    /// The address by which it is managed.
    pub management_ip: Option<IpAddr>,
    /// What the inventory says beside that, such as `infra_ip`, `secondary_management_ip` and `stack_members`.
    pub data: Map<String, Value>,
    /// Its primary group.
    pub primary_group: Option<GroupName>,
    /// All its groups.
    pub groups: Vec<GroupName>,
    /// Its interfaces, ordered by name.
    pub interfaces: Vec<InterfaceFacts>,
    /// Its links, ordered by the names of its interfaces.
    pub links: Vec<LinkFacts>,
    /// The management domains that it serves or that contain its management address, ordered by id.
    pub management_domains: Vec<ManagementDomainFacts>,
    /// All devices of the type CORE, ordered by hostname.
    pub cores: Vec<PeerFacts>,
    /// The other device of its MLAG pair: a peer of its own type by a link, for devices of the type ACCESS.
    pub mlag_peer: Option<PeerFacts>,
    /// Other devices that its settings name, such as peers of EVPN that are neither linked to it nor of the type CORE.
    pub named: Vec<PeerFacts>,
}

impl DeviceFacts {
    /// Another device by its hostname, in upper or lower case.
    pub(crate) fn peer(&self, hostname: &str) -> Option<&PeerFacts> {
        let linked = self.links.iter().map(|link| &link.peer);
        let mut known = self.cores.iter().chain(linked).chain(&self.named);
        known.find(|peer| peer.hostname.as_str().eq_ignore_ascii_case(hostname))
    }
}

/// The other device of the MLAG pair of a device of the type ACCESS, by its links: a peer of its own type.
pub fn mlag_peer(device_type: &DeviceType, links: &[LinkFacts]) -> Option<PeerFacts> {
    let mut peers = links.iter().map(|link| &link.peer);
    let peer =
        peers.find(|peer| *device_type == DeviceType::ACCESS && peer.device_type == DeviceType::ACCESS);
    peer.cloned()
}

/// The management domains that a device serves or that contain its management address or the secondary one in its data.
pub fn domains_of(
    hostname: &Hostname,
    management_ip: Option<IpAddr>,
    data: &Map<String, Value>,
    domains: &[ManagementDomainFacts],
) -> Vec<ManagementDomainFacts> {
    let secondary = data.get(SECONDARY_MANAGEMENT_IP).and_then(Value::as_str);
    let secondary = secondary.and_then(|address| address.parse().ok());
    let addresses = [management_ip, secondary];
    let contains = |domain: &ManagementDomainFacts| {
        addresses
            .iter()
            .flatten()
            .any(|address| domain.gateway_of(*address).is_some())
    };
    let of_device = domains
        .iter()
        .filter(|domain| domain.devices.contains(hostname) || contains(domain));
    of_device.cloned().collect()
}

/// The key of a device's data with its second management address.
pub(crate) const SECONDARY_MANAGEMENT_IP: &str = "secondary_management_ip";

/// An interface of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceFacts {
    /// Its name.
    pub name: InterfaceName,
    /// Its configuration: any JSON.
    pub configuration: Value,
}

/// A link of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkFacts {
    /// The interface of the device.
    pub interface: InterfaceName,
    /// The address of the device on the link, with the length of the prefix.
    pub address: Option<String>,
    /// The device at the other end.
    pub peer: PeerFacts,
    /// Its interface.
    pub peer_interface: InterfaceName,
    /// Its address on the link.
    pub peer_address: Option<String>,
}

/// Another device, as far as variables of its neighbours need it.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerFacts {
    /// Its id.
    pub id: u64,
    /// Its hostname.
    pub hostname: Hostname,
    /// Its type.
    pub device_type: DeviceType,
    /// Its model.
    pub model: Option<String>,
    /// What the inventory says beside that, such as `infra_ip`.
    pub data: Map<String, Value>,
    /// Its primary group.
    pub primary_group: Option<GroupName>,
    /// All its groups.
    pub groups: Vec<GroupName>,
}

/// A management domain.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagementDomainFacts {
    /// Its id.
    pub id: u64,
    /// The two devices that serve it.
    pub devices: [Hostname; 2],
    /// Their own addresses in it, in the same order.
    pub addresses: [Option<IpAddr>; 2],
    /// The gateway, with the length of the prefix.
    pub ipv4_gateway: Option<String>,
    /// The gateway, with the length of the prefix.
    pub ipv6_gateway: Option<String>,
    /// Its VLAN.
    pub vlan: Option<u16>,
    /// What it is for.
    pub description: Option<String>,
    /// The virtual MAC address of its Ethernet segment.
    pub esi_mac: Option<String>,
}

impl ManagementDomainFacts {
    /// The gateway whose network contains an address.
    pub(crate) fn gateway_of(&self, address: IpAddr) -> Option<IpNet> {
        let gateways = [&self.ipv4_gateway, &self.ipv6_gateway];
        let mut gateways = gateways
            .into_iter()
            .flatten()
            .filter_map(|gateway| gateway.parse().ok());
        gateways.find(|gateway: &IpNet| gateway.contains(&address))
    }
}
