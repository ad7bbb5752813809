use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use minijinja::Value;
use minijinja::value::ValueKind;
use serde_json::Map;

use super::access::link_of;
use super::index::index_number;
use super::range::{MOST_INTERFACES, expand};
use super::{Builder, VariablesError};
use crate::json::of_json;
use crate::settings::{EVPN_PEERS, entries, peer_names};
use crate::{LinkFacts, ManagementDomainFacts, PeerFacts};

/// The key of a device's data with the address of its loopback in the underlay.
pub(super) const INFRA_IP: &str = "infra_ip";

/// Keys of an interface in the settings that every class has where they are given.
const COMMON: [&str; 6] = [
    "aggregate_id",
    "enabled",
    "cli_append_str",
    "metric",
    "mtu",
    "tags",
];

/// The variables of devices of the fabric: of the types DIST and CORE.
pub(super) fn add(builder: &mut Builder<'_>) -> Result<(), VariablesError> {
    let device = builder.device;
    if let Some(address) = device.management_ip {
        let length = whole(address);
        builder.set("mgmt_ipif", format!("{address}/{length}"));
        builder.set("mgmt_prefixlen", length);
    }
    match builder.address(INFRA_IP)? {
        Some(IpAddr::V4(address)) => {
            builder.set(INFRA_IP, address.to_string());
            builder.set("infra_ipif", format!("{address}/32"));
            builder.set("asn", as_number(address));
        }
        Some(IpAddr::V6(address)) => {
            return Err(builder.error(format!(
                "its infra_ip {address} is no IPv4 address, of which its AS number is made"
            )));
        }
        None => builder.missing(
            "its data has no infra_ip, the address of its loopback in the underlay; import it".to_owned(),
        )?,
    }
    let domains = device.management_domains.iter();
    let own = domains.filter_map(|domain| {
        let place = domain
            .devices
            .iter()
            .position(|hostname| *hostname == device.hostname)?;
        Some(management_domain(domain, place))
    });
    builder.set("mgmtdomains", own.collect::<Vec<Value>>());
    let mut peers = Vec::new();
    let mut fabric = HashMap::new();
    for link in device.links.iter().filter(|link| builder.is_fabric(&link.peer)) {
        let Some(found) = fabric_link(builder, link)? else {
            continue;
        };
        peers.push(found.as_peer());
        fabric.insert(link.interface.as_str(), found);
    }
    builder.set("bgp_ipv4_peers", peers);
    let peers = evpn_peers(builder)?;
    builder.set("bgp_evpn_peers", peers);
    let interfaces = interfaces(builder, &fabric)?;
    builder.set("interfaces", interfaces);
    Ok(())
}

/// 4200000000 + third octet × 256 + fourth octet.
fn as_number(address: Ipv4Addr) -> u32 {
    let [_, _, third, fourth] = address.octets();
    4_200_000_000 + u32::from(third) * 256 + u32::from(fourth)
}

/// The length of a prefix that is one address.
fn whole(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn management_domain(domain: &ManagementDomainFacts, own: usize) -> Value {
    let own = domain.addresses[own].map(|address| address.to_string());
    Value::from_pairs([
        ("id", domain.id.into()),
        ("ipv4_gw", domain.ipv4_gateway.as_deref().into()),
        ("ipv6_gw", domain.ipv6_gateway.as_deref().into()),
        ("vlan", domain.vlan.into()),
        ("description", domain.description.as_deref().into()),
        ("esi_mac", domain.esi_mac.as_deref().into()),
        ("ipv4_ip", Value::from(own)),
    ])
}

/// A peer with what BGP needs of it.
#[derive(Debug)]
struct BgpPeer {
    hostname: String,
    loopback: Ipv4Addr,
}

impl BgpPeer {
    fn pairs(&self) -> [(&'static str, Value); 3] {
        [
            ("peer_hostname", self.hostname.as_str().into()),
            ("peer_infra_lo", self.loopback.to_string().into()),
            ("peer_asn", as_number(self.loopback).into()),
        ]
    }
}

/// A link to another device of the fabric.
#[derive(Debug)]
struct FabricLink {
    address: String,
    peer: BgpPeer,
    peer_address: String,
}

impl FabricLink {
    /// The keys of an interface of the fabric without a link: one whose other end is still to be provisioned.
    const UNKNOWN: [(&'static str, Option<&'static str>); 5] = [
        ("ipv4if", None),
        ("peer_hostname", Some("ztp")),
        ("peer_infra_lo", None),
        ("peer_ip", None),
        ("peer_asn", None),
    ];

    /// The keys of an interface of the fabric.
    fn pairs(&self) -> [(&'static str, Value); 5] {
        let [hostname, loopback, number] = self.peer.pairs();
        let own = ("ipv4if", self.address.as_str().into());
        [
            own,
            hostname,
            loopback,
            ("peer_ip", self.peer_address.as_str().into()),
            number,
        ]
    }

    fn as_peer(&self) -> Value {
        let [hostname, loopback, number] = self.peer.pairs();
        Value::from_pairs([
            hostname,
            loopback,
            ("peer_ip", self.peer_address.as_str().into()),
            number,
        ])
    }
}

fn bgp_peer(builder: &Builder<'_>, peer: &PeerFacts) -> Result<Option<BgpPeer>, VariablesError> {
    let loopback = peer
        .data
        .get(INFRA_IP)
        .and_then(|value| value.as_str())
        .and_then(|text| text.parse().ok());
    let Some(loopback) = loopback else {
        let reason = format!(
            "the data of its peer {} has no IPv4 address infra_ip; import it",
            peer.hostname
        );
        return builder.missing(reason).map(|()| None);
    };
    Ok(Some(BgpPeer {
        hostname: peer.hostname.to_string(),
        loopback,
    }))
}

fn fabric_link(builder: &Builder<'_>, link: &LinkFacts) -> Result<Option<FabricLink>, VariablesError> {
    let Some(peer) = bgp_peer(builder, &link.peer)? else {
        return Ok(None);
    };
    let without_length = |text: &String| match text.parse::<IpNet>() {
        Ok(address) => address.addr().to_string(),
        Err(_) => text.clone(),
    };
    let (Some(address), Some(peer_address)) = (&link.address, &link.peer_address) else {
        let reason = format!(
            "its link {} to {} has no addresses; import them with the link",
            link.interface, link.peer.hostname
        );
        return builder.missing(reason).map(|()| None);
    };
    Ok(Some(FabricLink {
        address: address.clone(),
        peer,
        peer_address: without_length(peer_address),
    }))
}

/// The peers of EVPN: those that the settings name, or all devices of the type CORE; not the device itself.
fn evpn_peers(builder: &Builder<'_>) -> Result<Vec<Value>, VariablesError> {
    let device = builder.device;
    let named = builder
        .settings
        .get(EVPN_PEERS)
        .map(peer_names)
        .unwrap_or_default();
    let mut peers: Vec<&PeerFacts> = Vec::new();
    if named.is_empty() {
        peers.extend(&device.cores);
    }
    for hostname in &named {
        if hostname.eq_ignore_ascii_case(device.hostname.as_str()) {
            continue;
        }
        match device.peer(hostname) {
            Some(peer) => peers.push(peer),
            None => builder.missing(format!(
                "{EVPN_PEERS} in its settings names {hostname}, and there is no such device; import it, or correct the name"
            ))?,
        }
    }
    let mut values = Vec::new();
    for peer in peers.into_iter().filter(|peer| peer.hostname != device.hostname) {
        values.extend(bgp_peer(builder, peer)?.map(|peer| Value::from_pairs(peer.pairs())));
    }
    Ok(values)
}

/// The interfaces of the settings, with ranges expanded.
fn interfaces(
    builder: &Builder<'_>,
    fabric: &HashMap<&str, FabricLink>,
) -> Result<Vec<Value>, VariablesError> {
    let mut interfaces = Vec::new();
    for item in builder.settings.get("interfaces").map(items).unwrap_or_default() {
        let name = item.get_attr("name").unwrap_or_default();
        let Some(name) = name.as_str() else {
            return Err(builder.error("an interface in its settings has no name".to_owned()));
        };
        let room = MOST_INTERFACES.saturating_sub(interfaces.len());
        let names = expand(name, room)
            .map_err(|reason| builder.error(format!("interfaces in its settings: {reason}")))?;
        interfaces.extend(names.iter().map(|name| interface(builder, name, &item, fabric)));
    }
    Ok(interfaces)
}

fn interface(builder: &Builder<'_>, name: &str, item: &Value, fabric: &HashMap<&str, FabricLink>) -> Value {
    let class = item.get_attr("ifclass").unwrap_or_default();
    let key = |key: &'static str| (key, item.get_attr(key).unwrap_or_default());
    let mut pairs: Vec<(&str, Value)> = vec![("name", name.into()), ("ifclass", class.clone())];
    match class.as_str() {
        Some("downlink") => {
            let link = link_of(builder.device, name);
            let description = link.map(|link| ("description".to_owned(), link.peer.hostname.as_str().into()));
            let data: Map<String, serde_json::Value> = description.into_iter().collect();
            pairs.extend([key("redundant_link"), ("data", of_json(data))]);
        }
        Some("custom") => pairs.push(key("config")),
        Some("fabric") => pairs.extend(match fabric.get(name) {
            Some(link) => link.pairs(),
            None => FabricLink::UNKNOWN.map(|(key, value)| (key, value.into())),
        }),
        _ => {
            let index = ("indexnum".into(), index_number(name).into());
            let own = entries(item).into_iter().map(|(key, value)| match key.as_str() {
                Some("name") => (key, name.into()),
                _ => (key, value),
            });
            return Value::from_pairs(own.chain([index]));
        }
    }
    let given = COMMON.map(key).into_iter();
    pairs.extend(given.filter(|(_, value)| !value.is_none() && !value.is_undefined()));
    pairs.push(("indexnum", index_number(name).into()));
    Value::from_pairs(pairs)
}

fn items(list: &Value) -> Vec<Value> {
    match list.kind() {
        ValueKind::Seq => list.try_iter().into_iter().flatten().collect(),
        _ => Vec::new(),
    }
}
