//! Reads what configurations are rendered from, on both databases.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use async_trait::async_trait;
use lockstep_protocol::{Hostname, InterfaceName};
use serde_json::{Map, Value, json};

use super::sql::{Row, SqlDatabase, SqlTransaction, rows};
use super::{
    DeviceId, DeviceSurroundings, FactsDevice, FactsLink, ManagementDomain, RenderFacts, StoreError, column,
};

const OPERATION: &str = "read what a configuration is rendered from";

macro_rules! devices {
    () => {
        "SELECT id, hostname, device_type, model, data, primary_group, CAST(management_ip AS text), platform, os_version FROM device "
    };
}

const DEVICES: &str = concat!(
    devices!(),
    "WHERE id IN (SELECT id FROM {rows $1: id bigint} AS wanted)"
);

const CORES: &str = concat!(devices!(), "WHERE device_type = 'CORE'");

const GROUPS: &str = "\
    SELECT group_member.device_id, device_group.name FROM group_member \
        JOIN device_group ON device_group.id = group_member.group_id \
    WHERE group_member.device_id IN (SELECT id FROM {rows $1: id bigint} AS wanted)";

const INTERFACES: &str = "\
    SELECT device_id, name, configuration FROM interface \
    WHERE device_id IN (SELECT id FROM {rows $1: id bigint} AS wanted)";

/// A link between two interfaces of a device is found at both.
const LINKS: &str = "\
    SELECT here.device_id, here.name, link.one_address, there.device_id, there.name, link.other_address \
    FROM interface AS here JOIN linknet AS link ON link.one_id = here.id JOIN interface AS there ON there.id = link.other_id \
    WHERE link.present AND here.device_id IN (SELECT id FROM {rows $1: id bigint} AS wanted) \
    UNION ALL \
    SELECT here.device_id, here.name, link.other_address, there.device_id, there.name, link.one_address \
    FROM interface AS here JOIN linknet AS link ON link.other_id = here.id JOIN interface AS there ON there.id = link.one_id \
    WHERE link.present AND here.device_id IN (SELECT id FROM {rows $1: id bigint} AS wanted)";

/// All management domains, for [`domain`].
macro_rules! management_domains {
    () => {
        "SELECT domain.id, domain.one_id, domain.other_id, one.hostname, other.hostname, domain.one_address, domain.other_address, \
            domain.ipv4_gateway, domain.ipv6_gateway, domain.vlan, domain.description, domain.esi_mac \
        FROM management_domain AS domain JOIN device AS one ON one.id = domain.one_id \
            JOIN device AS other ON other.id = domain.other_id \
        WHERE domain.present"
    };
}
pub(super) use management_domains;

const MANAGEMENT_DOMAINS: &str = concat!(management_domains!(), " ORDER BY domain.id");

#[async_trait]
impl<D: SqlDatabase> RenderFacts for D {
    async fn render_facts(&self, device: DeviceId) -> Result<Option<DeviceSurroundings>, StoreError> {
        Ok(self.render_facts_of(&[device]).await?.pop())
    }

    async fn render_facts_of(&self, devices: &[DeviceId]) -> Result<Vec<DeviceSurroundings>, StoreError> {
        if devices.is_empty() {
            return Ok(Vec::new());
        }
        let snapshot = self.snapshot(OPERATION).await?;
        snapshot.plan_for_now(OPERATION).await?;
        let found = read(&*snapshot, devices).await?;
        snapshot.commit(OPERATION).await?;
        Ok(found)
    }
}

/// A device with what only its own rendering needs.
struct Subject {
    device: FactsDevice,
    management_ip: Option<IpAddr>,
    platform: Option<String>,
    os_version: Option<String>,
}

/// An end of a link, with the number of the device at the other end.
struct End {
    interface: InterfaceName,
    address: Option<String>,
    peer: i64,
    peer_interface: InterfaceName,
    peer_address: Option<String>,
}

async fn read(
    snapshot: &dyn SqlTransaction,
    devices: &[DeviceId],
) -> Result<Vec<DeviceSurroundings>, StoreError> {
    let wanted: BTreeSet<i64> = devices.iter().map(|device| device.0).collect();
    let ids = |ids: &BTreeSet<i64>| vec![rows(ids.iter().map(|id| vec![json!(id)]))];
    let query = async |sql, parameters| snapshot.query(OPERATION, sql, parameters).await;

    let mut links: HashMap<i64, Vec<End>> = HashMap::new();
    for row in query(LINKS, ids(&wanted)).await? {
        links
            .entry(row.integer("interface.device_id", 0)?)
            .or_default()
            .push(end(&row)?);
    }
    let mut interfaces: HashMap<i64, Vec<(InterfaceName, Value)>> = HashMap::new();
    for row in query(INTERFACES, ids(&wanted)).await? {
        interfaces
            .entry(row.integer("interface.device_id", 0)?)
            .or_default()
            .push(interface(&row)?);
    }
    let domains = query(MANAGEMENT_DOMAINS, Vec::new()).await?;
    let domains = domains.iter().map(domain).collect::<Result<Vec<_>, _>>()?;
    let peers = links.values().flatten().map(|end| end.peer);
    let known: BTreeSet<i64> = wanted.iter().copied().chain(peers).collect();
    let cores = query(CORES, Vec::new()).await?;
    let mut core_ids = BTreeSet::new();
    let mut subjects = BTreeMap::new();
    for row in &cores {
        let subject = subject(row)?;
        core_ids.insert(subject.device.id.0);
        subjects.insert(subject.device.id.0, subject);
    }
    for row in &query(DEVICES, ids(&known)).await? {
        let subject = subject(row)?;
        subjects.insert(subject.device.id.0, subject);
    }
    let all: BTreeSet<i64> = subjects.keys().copied().collect();
    for row in query(GROUPS, ids(&all)).await? {
        let group = column::name("device_group.name", row.text("device_group.name", 1)?)?;
        if let Some(subject) = subjects.get_mut(&row.integer("group_member.device_id", 0)?) {
            subject.device.groups.push(group);
        }
    }
    for subject in subjects.values_mut() {
        subject.device.groups.sort_unstable();
    }
    let device = |id: &i64| subjects.get(id).map(|subject| subject.device.clone());
    let mut cores: Vec<FactsDevice> = core_ids.iter().filter_map(device).collect();
    cores.sort_unstable_by(|one, other| one.hostname.cmp(&other.hostname));
    let surroundings = wanted.iter().filter_map(|id| {
        let Subject {
            device: facts,
            management_ip,
            platform,
            os_version,
        } = subjects.get(id)?;
        let mut interfaces = interfaces.remove(id).unwrap_or_default();
        interfaces.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let ends = links.remove(id).unwrap_or_default();
        let mut links: Vec<FactsLink> = ends
            .into_iter()
            .filter_map(|end| {
                Some(FactsLink {
                    interface: end.interface,
                    address: end.address,
                    peer: device(&end.peer)?,
                    peer_interface: end.peer_interface,
                    peer_address: end.peer_address,
                })
            })
            .collect();
        links.sort_by(|one, other| {
            let key = |link: &FactsLink| (link.interface.clone(), link.peer.hostname.clone());
            key(one).cmp(&key(other))
        });
        Some(DeviceSurroundings {
            device: facts.clone(),
            management_ip: *management_ip,
            platform: platform.clone(),
            os_version: os_version.clone(),
            interfaces,
            links,
            management_domains: domains_of(*id, &domains),
            cores: cores.clone(),
        })
    });
    Ok(surroundings.collect())
}

/// The domains that a device serves; all of them if it serves none.
fn domains_of(id: i64, domains: &[([i64; 2], ManagementDomain)]) -> Vec<ManagementDomain> {
    let of = |serves: &dyn Fn(&[i64; 2]) -> bool| -> Vec<ManagementDomain> {
        let served = domains.iter().filter(|(devices, _)| serves(devices));
        served.map(|(_, domain)| domain.clone()).collect()
    };
    let served = of(&|devices| devices.contains(&id));
    if served.is_empty() { of(&|_| true) } else { served }
}

fn subject(row: &Row) -> Result<Subject, StoreError> {
    Ok(Subject {
        device: FactsDevice {
            id: DeviceId(row.integer("device.id", 0)?),
            hostname: hostname(row, 1)?,
            device_type: column::word("device.device_type", &row.text("device.device_type", 2)?)?,
            model: row.optional_text("device.model", 3)?,
            data: data(row, 4)?,
            primary_group: column::optional_name(
                "device.primary_group",
                row.optional_text("device.primary_group", 5)?,
            )?,
            groups: Vec::new(),
        },
        management_ip: row.optional_address("device.management_ip", 6)?,
        platform: row.optional_text("device.platform", 7)?,
        os_version: row.optional_text("device.os_version", 8)?,
    })
}

/// What the inventory says about a device.
pub(super) fn data(row: &Row, index: usize) -> Result<Map<String, Value>, StoreError> {
    let data = row.optional_text("device.data", index)?;
    data.map_or_else(|| Ok(Map::new()), |text| column::read_data(&text))
}

fn hostname(row: &Row, index: usize) -> Result<Hostname, StoreError> {
    column::name("device.hostname", row.text("device.hostname", index)?)
}

fn interface_name(row: &Row, index: usize) -> Result<InterfaceName, StoreError> {
    column::name("interface.name", row.text("interface.name", index)?)
}

fn interface(row: &Row) -> Result<(InterfaceName, Value), StoreError> {
    let configuration = match row.optional_text("interface.configuration", 2)? {
        None => Value::Null,
        Some(text) => column::json("interface.configuration", &text)?,
    };
    Ok((interface_name(row, 1)?, configuration))
}

fn end(row: &Row) -> Result<End, StoreError> {
    Ok(End {
        interface: interface_name(row, 1)?,
        address: row.optional_text("linknet.address", 2)?,
        peer: row.integer("interface.device_id", 3)?,
        peer_interface: interface_name(row, 4)?,
        peer_address: row.optional_text("linknet.address", 5)?,
    })
}

/// A domain with the numbers of its devices.
pub(super) fn domain(row: &Row) -> Result<([i64; 2], ManagementDomain), StoreError> {
    let devices = [
        row.integer("management_domain.one_id", 1)?,
        row.integer("management_domain.other_id", 2)?,
    ];
    let address = |index| row.optional_address("management_domain.address", index);
    let domain = ManagementDomain {
        id: row.number("management_domain.id", 0)?,
        devices: [hostname(row, 3)?, hostname(row, 4)?],
        addresses: [address(5)?, address(6)?],
        ipv4_gateway: row.optional_text("management_domain.ipv4_gateway", 7)?,
        ipv6_gateway: row.optional_text("management_domain.ipv6_gateway", 8)?,
        vlan: row.optional_number("management_domain.vlan", 9)?,
        description: row.optional_text("management_domain.description", 10)?,
        esi_mac: row.optional_text("management_domain.esi_mac", 11)?,
    };
    Ok((devices, domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn statements_use_an_index() {
        for (statement, expected) in [
            (DEVICES, "SEARCH device USING INTEGER PRIMARY KEY (rowid=?)"),
            (CORES, "SCAN device USING INDEX device_core"),
            (
                INTERFACES,
                "SEARCH interface USING INDEX sqlite_autoindex_interface_1 (device_id=?)",
            ),
        ] {
            let plan = query_plan(statement);
            assert!(plan.iter().any(|line| line.contains(expected)), "{plan:?}");
        }
        for statement in [LINKS, GROUPS] {
            let plan = query_plan(statement);
            let scans = plan
                .iter()
                .filter(|line| line.starts_with("SCAN") && !line.contains("json_each"));
            assert_eq!(scans.count(), 0, "{plan:?}");
        }
    }
}
