//! What belongs to a device and where its links lead, on both databases.

use lockstep_protocol::Hostname;

use super::sql::{Row, SqlDatabase};
use super::{StoreError, column};

/// The most hostnames in a list of [`Surroundings`].
const MOST: usize = 1000;

const OPERATION: &str = "read the surroundings of a device";

const COUNT: &str = "\
    SELECT (SELECT count(*) FROM interface WHERE interface.device_id = device.id), \
        (SELECT count(*) FROM interface JOIN client ON client.interface_id = interface.id WHERE interface.device_id = device.id) \
    FROM device WHERE hostname = $1";

/// A link between two interfaces of the device is found at both.
const LINKS: &str = "\
    SELECT link.id, far.hostname FROM device JOIN interface ON interface.device_id = device.id \
        JOIN linknet AS link ON link.one_id = interface.id JOIN interface AS peer ON peer.id = link.other_id \
        JOIN device AS far ON far.id = peer.device_id WHERE device.hostname = $1 AND link.present \
    UNION \
    SELECT link.id, far.hostname FROM device JOIN interface ON interface.device_id = device.id \
        JOIN linknet AS link ON link.other_id = interface.id JOIN interface AS peer ON peer.id = link.one_id \
        JOIN device AS far ON far.id = peer.device_id WHERE device.hostname = $1 AND link.present";

const CONTROLLED: &str = "\
    SELECT controlled.hostname FROM device JOIN device AS controlled ON controlled.controller_id = device.id \
    WHERE device.hostname = $1 ORDER BY controlled.hostname";

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
    let ends = links
        .iter()
        .map(|row| Ok((row.integer("linknet.id", 0)?, end(row, 1)?)));
    let ends: Vec<(i64, Hostname)> = ends.collect::<Result<_, StoreError>>()?;
    let mut ids: Vec<i64> = ends.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let neighbors = ends.into_iter().map(|(_, far)| far).filter(|far| far != hostname);
    let controlled = database.read(OPERATION, CONTROLLED, name()).await?;
    let controlled = controlled.iter().map(|row| end(row, 0));
    Ok(Some(Surroundings {
        interfaces: column::count(counts.integer("count of interfaces", 0)?),
        clients: column::count(counts.integer("count of clients", 1)?),
        links: ids.len() as u64,
        neighbors: Hostnames::of(neighbors.collect()),
        controlled: Hostnames::of(controlled.collect::<Result<_, _>>()?),
    }))
}

fn end(row: &Row, index: usize) -> Result<Hostname, StoreError> {
    column::name("device.hostname", row.text("device.hostname", index)?)
}
