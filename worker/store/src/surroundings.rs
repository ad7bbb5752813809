//! What belongs to a device and where its links lead, on both databases.

use std::collections::BTreeSet;

use lockstep_protocol::{Hostname, InterfaceName};
use serde_json::{Map, Value};

use super::render_facts_table::{self, management_domains};
use super::sql::{Row, SqlDatabase};
use super::{ManagementDomain, StoreError, column};

/// The most hostnames in a list of [`Surroundings`].
const MOST: usize = 1000;

const OPERATION: &str = "read the surroundings of a device";

const COUNT: &str = "\
    SELECT (SELECT count(*) FROM interface WHERE interface.device_id = device.id), \
        (SELECT count(*) FROM interface JOIN client ON client.interface_id = interface.id WHERE interface.device_id = device.id), \
        data \
    FROM device WHERE hostname = $1";

/// A link between two interfaces of the device is found at both.
const LINKS: &str = "\
    SELECT link.id, far.hostname, interface.name, link.one_address, peer.name, link.other_address \
        FROM device JOIN interface ON interface.device_id = device.id JOIN linknet AS link ON link.one_id = interface.id JOIN interface AS peer ON peer.id = link.other_id \
        JOIN device AS far ON far.id = peer.device_id WHERE device.hostname = $1 AND link.present \
    UNION \
    SELECT link.id, far.hostname, interface.name, link.other_address, peer.name, link.one_address \
        FROM device JOIN interface ON interface.device_id = device.id JOIN linknet AS link ON link.other_id = interface.id JOIN interface AS peer ON peer.id = link.one_id \
        JOIN device AS far ON far.id = peer.device_id WHERE device.hostname = $1 AND link.present";

const CONTROLLED: &str = "\
    SELECT controlled.hostname FROM device JOIN device AS controlled ON controlled.controller_id = device.id \
    WHERE device.hostname = $1 ORDER BY controlled.hostname";

const MANAGEMENT_DOMAINS: &str = concat!(
    management_domains!(),
    " AND $1 IN (one.hostname, other.hostname) ORDER BY domain.id LIMIT 1000"
);

/// What belongs to a device, and where its links lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// How many interfaces it has.
    pub interfaces: u64,
    /// How many clients are behind its interfaces.
    pub clients: u64,
    /// How many links end at it.
    pub links: u64,
    /// The hostnames of the devices at the other ends of its links.
    pub neighbors: Hostnames,
    /// The hostnames of the devices that are connected to through it.
    pub controlled: Hostnames,
    /// The first 1,000 of its links, ordered by its interfaces.
    pub linked: Vec<LinkedInterface>,
    /// The first 1,000 of the management domains that it serves, ordered by id.
    pub management_domains: Vec<ManagementDomain>,
    /// What the inventory says about it beside its attributes.
    pub data: Map<String, Value>,
}

/// An interface of a device with a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedInterface {
    /// The interface.
    pub interface: InterfaceName,
    /// Its address on the link, with the length of the prefix.
    pub address: Option<String>,
    /// The device at the other end.
    pub neighbor: Hostname,
    /// Its interface.
    pub neighbor_interface: InterfaceName,
    /// Its address on the link.
    pub neighbor_address: Option<String>,
}

/// Hostnames, ordered by bytes and each once, of which the first 1,000 are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hostnames {
    /// How many there are.
    pub count: u64,
    /// The first ones.
    pub first: Vec<Hostname>,
}

impl Hostnames {
    fn of(mut all: Vec<Hostname>) -> Self {
        all.sort_unstable();
        all.dedup();
        let count = all.len() as u64;
        all.truncate(MOST);
        Self { count, first: all }
    }
}

/// Reads the surroundings of a device; `None` if there is no such device.
pub(super) async fn read(
    database: &impl SqlDatabase,
    hostname: &Hostname,
) -> Result<Option<Surroundings>, StoreError> {
    let name = || vec![hostname.as_str().into()];
    let counts = database.read(OPERATION, COUNT, name()).await?;
    let Some(counts) = counts.first() else {
        return Ok(None);
    };
    let links = database.read(OPERATION, LINKS, name()).await?;
    let ids = links.iter().map(|row| row.integer("linknet.id", 0));
    let ids: BTreeSet<i64> = ids.collect::<Result<_, _>>()?;
    let mut linked = links.iter().map(linked).collect::<Result<Vec<_>, _>>()?;
    let neighbors = linked.iter().map(|link| link.neighbor.clone());
    let neighbors = Hostnames::of(neighbors.filter(|far| far != hostname).collect());
    linked.sort_unstable_by(|one, other| one.interface.cmp(&other.interface));
    linked.truncate(MOST);
    let domains = database.read(OPERATION, MANAGEMENT_DOMAINS, name()).await?;
    let domains = domains.iter().map(|row| Ok(render_facts_table::domain(row)?.1));
    let controlled = database.read(OPERATION, CONTROLLED, name()).await?;
    let controlled = controlled.iter().map(|row| end(row, 0));
    Ok(Some(Surroundings {
        interfaces: column::count(counts.integer("count of interfaces", 0)?),
        clients: column::count(counts.integer("count of clients", 1)?),
        links: ids.len() as u64,
        neighbors,
        controlled: Hostnames::of(controlled.collect::<Result<_, _>>()?),
        linked,
        management_domains: domains.collect::<Result<_, StoreError>>()?,
        data: render_facts_table::data(counts, 2)?,
    }))
}

fn linked(row: &Row) -> Result<LinkedInterface, StoreError> {
    let interface = |index| column::name("interface.name", row.text("interface.name", index)?);
    Ok(LinkedInterface {
        interface: interface(2)?,
        address: row.optional_text("linknet.address", 3)?,
        neighbor: end(row, 1)?,
        neighbor_interface: interface(4)?,
        neighbor_address: row.optional_text("linknet.address", 5)?,
    })
}

fn end(row: &Row, index: usize) -> Result<Hostname, StoreError> {
    column::name("device.hostname", row.text("device.hostname", index)?)
}
