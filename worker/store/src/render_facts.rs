use std::fmt::Debug;
use std::net::IpAddr;

use async_trait::async_trait;
use lockstep_protocol::{DeviceType, GroupName, Hostname, InterfaceName};
use serde_json::{Map, Value};

use crate::{DeviceId, StoreError};

/// Reads what the configuration of a device is rendered from, beside settings and templates.
#[async_trait]
pub trait RenderFacts: Debug + Send + Sync + 'static {
    /// A device and its surroundings, in one snapshot. `None` if there is no such device.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn render_facts(&self, device: DeviceId) -> Result<Option<DeviceSurroundings>, StoreError>;

    /// The same of many devices: on a database in one snapshot, with as many statements as for one. A device that does not exist is
    /// absent. Ordered by id. Ask for some hundred at a time, because all are kept in memory.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn render_facts_of(&self, devices: &[DeviceId]) -> Result<Vec<DeviceSurroundings>, StoreError> {
        let mut sorted = devices.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut found = Vec::with_capacity(sorted.len());
        for device in sorted {
            found.extend(self.render_facts(device).await?);
        }
        Ok(found)
    }
}

/// A device and its surroundings.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSurroundings {
    /// The device.
    pub device: FactsDevice,
    /// The address by which it is managed.
    pub management_ip: Option<IpAddr>,
    /// Its platform.
    pub platform: Option<String>,
    /// The operating system version it runs.
    pub os_version: Option<String>,
    /// Its interfaces with their configurations, ordered by name.
    pub interfaces: Vec<(InterfaceName, Value)>,
    /// Its links, ordered by the names of its interfaces.
    pub links: Vec<FactsLink>,
    /// The management domains that the device serves, or all of them if it serves none: the caller picks those whose network contains
    /// its management address. Ordered by id.
    pub management_domains: Vec<ManagementDomain>,
    /// All devices of the type CORE, ordered by hostname.
    pub cores: Vec<FactsDevice>,
}

/// A device, as far as its own variables or those of its neighbours need it.
#[derive(Clone, Debug, PartialEq)]
pub struct FactsDevice {
    /// Its id.
    pub id: DeviceId,
    /// Its hostname.
    pub hostname: Hostname,
    /// Its type.
    pub device_type: DeviceType,
    /// Its model.
    pub model: Option<String>,
    /// What the inventory says beside its attributes.
    pub data: Map<String, Value>,
    /// Its primary group by the accepted settings.
    pub primary_group: Option<GroupName>,
    /// Its groups, by list and by rule, ordered; DEFAULT only where the settings define it.
    pub groups: Vec<GroupName>,
}

/// A link of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct FactsLink {
    /// The interface of the device.
    pub interface: InterfaceName,
    /// The address of the device on the link, with the length of the prefix.
    pub address: Option<String>,
    /// The device at the other end.
    pub peer: FactsDevice,
    /// Its interface.
    pub peer_interface: InterfaceName,
    /// Its address on the link.
    pub peer_address: Option<String>,
}

/// A management domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementDomain {
    /// The number that its owner gave to it, such as that of CNaaS NMS.
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
