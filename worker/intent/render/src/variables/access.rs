use std::net::IpAddr;

use minijinja::Value;
use serde_json::{Map, Value as Json};

use super::index::index_number;
use super::vlans::Vlans;
use super::{Builder, VariablesError};
use crate::device::SECONDARY_MANAGEMENT_IP;
use crate::json::of_json;
use crate::{DeviceFacts, InterfaceFacts, LinkFacts};

/// The variables of devices of the type ACCESS.
pub(super) fn add(builder: &mut Builder<'_>) -> Result<(), VariablesError> {
    let device = builder.device;
    if let Some(address) = device.management_ip {
        domain_of(builder, "", address)?;
    }
    if let Some(address) = builder.address(SECONDARY_MANAGEMENT_IP)? {
        builder.set("secondary_mgmt_ip", address.to_string());
        domain_of(builder, "secondary_", address)?;
    }
    let peer = device.mlag_peer.as_ref();
    builder.set("mlag_peer", peer.is_some());
    builder.set("mlag_peer_hostname", peer.map(|peer| peer.hostname.to_string()));
    builder.set("mlag_peer_low", peer.map(|peer| device.id < peer.id));
    let vlans = Vlans::of(builder.settings);
    let interfaces = device.interfaces.iter();
    let interfaces: Vec<Value> = interfaces
        .map(|interface| row(device, interface, &vlans))
        .collect();
    builder.set("interfaces", interfaces);
    Ok(())
}

/// The variables of the management domain with an address.
fn domain_of(builder: &mut Builder<'_>, prefix: &str, address: IpAddr) -> Result<(), VariablesError> {
    let mut domains = builder.device.management_domains.iter();
    let Some((domain, gateway)) = domains.find_map(|domain| Some((domain, domain.gateway_of(address)?)))
    else {
        return builder.missing(format!(
            "its management address {address} is in no management domain; import the domain with its gateway, or correct the address"
        ));
    };
    let length = gateway.prefix_len();
    builder.set(&format!("{prefix}mgmt_vlan_id"), domain.vlan);
    builder.set(&format!("{prefix}mgmt_gw"), gateway.addr().to_string());
    builder.set(&format!("{prefix}mgmt_ipif"), format!("{address}/{length}"));
    builder.set(&format!("{prefix}mgmt_prefixlen"), length);
    Ok(())
}

/// An interface of the inventory: its configuration has the type and, with it or in `data`, all else.
fn row(device: &DeviceFacts, interface: &InterfaceFacts, vlans: &Vlans) -> Value {
    let empty = Map::new();
    let configuration = interface.configuration.as_object().unwrap_or(&empty);
    let class = ["configtype", "ifclass"]
        .iter()
        .find_map(|key| configuration.get(*key));
    let mut data = match configuration.get("data") {
        Some(Json::Object(data)) => data.clone(),
        Some(_) => Map::new(),
        None => {
            let rest = configuration.iter();
            let rest = rest.filter(|(key, _)| !matches!(key.as_str(), "configtype" | "ifclass"));
            rest.map(|(key, value)| (key.clone(), value.clone())).collect()
        }
    };
    let untagged = data.get("untagged_vlan").and_then(|vlan| vlans.id(vlan));
    let tagged = match data.get("tagged_vlan_list") {
        Some(Json::Array(list)) => list.iter().filter_map(|vlan| vlans.id(vlan)).collect(),
        _ => Vec::new(),
    };
    if let Some(link) = link_of(device, interface.name.as_str()) {
        data.insert("description".to_owned(), link.peer.hostname.as_str().into());
    }
    Value::from_pairs([
        ("name", interface.name.as_str().into()),
        ("ifclass", class.map(of_json).into()),
        ("untagged_vlan", untagged.into()),
        ("tagged_vlan_list", tagged.into()),
        ("data", of_json(data)),
        ("indexnum", index_number(interface.name.as_str()).into()),
    ])
}

/// The link that ends at an interface.
pub(super) fn link_of<'a>(device: &'a DeviceFacts, interface: &str) -> Option<&'a LinkFacts> {
    device
        .links
        .iter()
        .find(|link| link.interface.as_str() == interface)
}
