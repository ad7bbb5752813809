use lockstep_render::{
    DeviceFacts, InterfaceFacts, LinkFacts, ManagementDomainFacts, PeerFacts, domains_of, mlag_peer,
};
use lockstep_store::{DeviceSurroundings, FactsDevice, FactsLink, ManagementDomain};

/// What rendering needs of what the store knows.
pub(super) fn device_facts(surroundings: DeviceSurroundings) -> DeviceFacts {
    let DeviceSurroundings {
        device,
        management_ip,
        platform,
        os_version,
        interfaces,
        links,
        management_domains,
        cores,
    } = surroundings;
    let interfaces = interfaces.into_iter();
    let interfaces = interfaces.map(|(name, configuration)| InterfaceFacts { name, configuration });
    let links: Vec<LinkFacts> = links.into_iter().map(link).collect();
    let domains: Vec<ManagementDomainFacts> = management_domains.into_iter().map(domain).collect();
    let peer = peer(device);
    DeviceFacts {
        management_domains: domains_of(&peer.hostname, management_ip, &peer.data, &domains),
        mlag_peer: mlag_peer(&peer.device_type, &links),
        id: peer.id,
        hostname: peer.hostname,
        device_type: peer.device_type,
        platform,
        model: peer.model,
        os_version,
        management_ip,
        data: peer.data,
        primary_group: peer.primary_group,
        groups: peer.groups,
        interfaces: interfaces.collect(),
        links,
        cores: cores.into_iter().map(self::peer).collect(),
        named: Vec::new(),
    }
}

/// A device as its neighbors see it.
pub(super) fn peer(device: FactsDevice) -> PeerFacts {
    PeerFacts {
        id: device.id.number(),
        hostname: device.hostname,
        device_type: device.device_type,
        model: device.model,
        data: device.data,
        primary_group: device.primary_group,
        groups: device.groups,
    }
}

fn link(link: FactsLink) -> LinkFacts {
    LinkFacts {
        interface: link.interface,
        address: link.address,
        peer: peer(link.peer),
        peer_interface: link.peer_interface,
        peer_address: link.peer_address,
    }
}

fn domain(domain: ManagementDomain) -> ManagementDomainFacts {
    ManagementDomainFacts {
        id: domain.id,
        devices: domain.devices,
        addresses: domain.addresses,
        ipv4_gateway: domain.ipv4_gateway,
        ipv6_gateway: domain.ipv6_gateway,
        vlan: domain.vlan,
        description: domain.description,
        esi_mac: domain.esi_mac,
    }
}
