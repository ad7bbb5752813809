use super::{READ, numbers, pages};
use crate::sql::{Row, SqlDatabase, Value};
use crate::{DeviceId, Interface, Page, Pages, StoreError, column};

/// The columns that [`read`] expects from `$first` on.
macro_rules! select {
    ($($rest:literal),*) => {
        concat!("SELECT interface.id, interface.device_id, interface.name FROM ", $($rest),*)
    };
}

const ALL: &str = select!("interface WHERE id > $1 ORDER BY id LIMIT $2");

const BY_ID: &str = select!("interface WHERE id IN (SELECT id FROM {rows $1: id bigint} AS wanted)");

const OF_DEVICES: &str = select!(
    "{rows $1: id bigint} AS wanted {pages interface.id: SELECT paged.id FROM interface AS paged \
        WHERE paged.device_id = wanted.id AND paged.name > $2 ORDER BY paged.name LIMIT $3} \
     ORDER BY interface.name"
);

pub(super) async fn all<D: SqlDatabase>(
    database: &D,
    page: &Page<u64>,
) -> Result<Vec<Interface>, StoreError> {
    let parameters = vec![page.after.unwrap_or_default().into(), page.limit.into()];
    let rows = database.read_planned_for_now(READ, ALL, parameters).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn by_id<D: SqlDatabase>(database: &D, ids: &[u64]) -> Result<Vec<Interface>, StoreError> {
    let rows = database
        .read_planned_for_now(READ, BY_ID, vec![numbers(ids)])
        .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn of_devices<D: SqlDatabase>(
    database: &D,
    devices: &[u64],
    page: &Page<String>,
) -> Result<Pages<Interface>, StoreError> {
    // No name is empty.
    let after: Value = page.after.as_deref().unwrap_or_default().into();
    let parameters = vec![numbers(devices), after, page.limit.into()];
    let rows = database
        .read_planned_for_now(READ, OF_DEVICES, parameters)
        .await?;
    pages(&rows, |row| {
        let interface = read(row)?;
        Ok((interface.device.number(), interface))
    })
}

fn read(row: &Row) -> Result<Interface, StoreError> {
    Ok(Interface {
        id: row.number("interface.id", 0)?,
        device: DeviceId(row.integer("interface.device_id", 1)?),
        name: column::name("interface.name", row.text("interface.name", 2)?)?,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[BY_ID, OF_DEVICES];

/// The pages that are one range of an index, and how they are read.
#[cfg(test)]
pub(super) const PAGES: &[(&str, &str)] = &[(ALL, "interface USING INTEGER PRIMARY KEY (rowid>?)")];
