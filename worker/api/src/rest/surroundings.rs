use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{HostnameList, LinkedInterfaceView, ManagementDomainView, SurroundingsView};
use lockstep_store::{Hostnames, LinkedInterface, ManagementDomain};

use super::{devices, problem};
use crate::context::Shared;

/// `GET /v1/devices/{hostname}/surroundings`: what belongs to a device, and where its links lead.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
) -> Result<Json<SurroundingsView>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let hostname = devices::hostname(hostname)?;
    let found = shared.context.fleet.surroundings(&hostname).await;
    let found = found.map_err(problem::store_error)?;
    let found = found.ok_or_else(|| devices::unknown(hostname.as_str()))?;
    let list = |hostnames: Hostnames| HostnameList {
        count: hostnames.count,
        first: hostnames.first,
    };
    Ok(Json(SurroundingsView {
        hostname,
        interfaces: found.interfaces,
        clients: found.clients,
        links: found.links,
        neighbors: list(found.neighbors),
        controlled: list(found.controlled),
        linked: found.linked.into_iter().map(linked).collect(),
        management_domains: found
            .management_domains
            .into_iter()
            .map(management_domain)
            .collect(),
        data: found.data,
    }))
}

fn linked(link: LinkedInterface) -> LinkedInterfaceView {
    LinkedInterfaceView {
        interface: link.interface,
        address: link.address,
        neighbor: link.neighbor,
        neighbor_interface: link.neighbor_interface,
        neighbor_address: link.neighbor_address,
    }
}

fn management_domain(domain: ManagementDomain) -> ManagementDomainView {
    let [device_a, device_b] = domain.devices;
    let [first, second] = domain.addresses;
    ManagementDomainView {
        id: domain.id,
        device_a,
        device_b,
        device_a_ip: first,
        device_b_ip: second,
        ipv4_gw: domain.ipv4_gateway,
        ipv6_gw: domain.ipv6_gateway,
        vlan: domain.vlan,
        description: domain.description,
        esi_mac: domain.esi_mac,
    }
}
