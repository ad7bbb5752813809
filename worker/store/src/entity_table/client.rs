use lockstep_protocol::Mac;

use super::{READ, numbers, pages};
use crate::sql::{Row, SqlDatabase};
use crate::{Client, ClientsOf, Page, Pages, StoreError, column};

macro_rules! select {
    ($($rest:literal),*) => {
        concat!(
            "SELECT client.id, client.mac, client.name, CAST(client.ip AS text), client.interface_id, client.group_id",
            $($rest),*
        )
    };
}

const ALL: &str = select!(" FROM client WHERE id > $1 ORDER BY id LIMIT $2");

const BY_ID: &str = select!(" FROM client WHERE id IN (SELECT id FROM {rows $1: id bigint} AS wanted)");

const BY_MAC: &str = select!(" FROM client WHERE mac = $1");

/// The clients for which `$of` holds, with the id of what they belong to.
macro_rules! clients_of {
    ($of:literal) => {
        select!(
            ", wanted.id FROM {rows $1: id bigint} AS wanted {pages client.id: SELECT paged.id FROM ",
            $of,
            " = wanted.id AND paged.id > $2 ORDER BY paged.id LIMIT $3} ORDER BY client.id"
        )
    };
}

const OF_INTERFACES: &str = clients_of!("client AS paged WHERE paged.interface_id");
const OF_GROUPS: &str = clients_of!("client AS paged WHERE paged.group_id");
const OF_DEVICES: &str = clients_of!(
    "interface AS port JOIN client AS paged ON paged.interface_id = port.id WHERE port.device_id"
);

pub(super) async fn all<D: SqlDatabase>(database: &D, page: &Page<u64>) -> Result<Vec<Client>, StoreError> {
    let parameters = vec![page.after.unwrap_or_default().into(), page.limit.into()];
    let rows = database.read_planned_for_now(READ, ALL, parameters).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn by_id<D: SqlDatabase>(database: &D, ids: &[u64]) -> Result<Vec<Client>, StoreError> {
    let rows = database
        .read_planned_for_now(READ, BY_ID, vec![numbers(ids)])
        .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn by_mac<D: SqlDatabase>(database: &D, mac: &Mac) -> Result<Option<Client>, StoreError> {
    let rows = database.read(READ, BY_MAC, vec![mac.as_str().into()]).await?;
    rows.first().map(read).transpose()
}

pub(super) async fn of<D: SqlDatabase>(
    database: &D,
    of: ClientsOf,
    ids: &[u64],
    page: &Page<u64>,
) -> Result<Pages<Client>, StoreError> {
    let statement = match of {
        ClientsOf::Interface => OF_INTERFACES,
        ClientsOf::Group => OF_GROUPS,
        ClientsOf::Device => OF_DEVICES,
    };
    let after = page.after.unwrap_or_default();
    let parameters = vec![numbers(ids), after.into(), page.limit.into()];
    let rows = database.read_planned_for_now(READ, statement, parameters).await?;
    pages(&rows, |row| Ok((row.number("wanted.id", 6)?, read(row)?)))
}

fn read(row: &Row) -> Result<Client, StoreError> {
    Ok(Client {
        id: row.number("client.id", 0)?,
        mac: column::name("client.mac", row.text("client.mac", 1)?)?,
        name: row.optional_text("client.name", 2)?,
        ip: row.optional_address("client.ip", 3)?,
        interface: row.optional_number("client.interface_id", 4)?,
        group: row.optional_number("client.group_id", 5)?,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[BY_ID, BY_MAC, OF_INTERFACES, OF_GROUPS, OF_DEVICES];

/// The pages that are one range of an index, and how they are read.
#[cfg(test)]
pub(super) const PAGES: &[(&str, &str)] = &[(ALL, "client USING INTEGER PRIMARY KEY (rowid>?)")];
