//! Writes the primary groups of devices.

use lockstep_protocol::{GroupName, Hostname};
use serde_json::json;

use super::{CHUNK, WRITE};
use crate::StoreError;
use crate::sql::{SqlSession, rows};

const BY_NAME: &str = "\
    UPDATE device SET primary_group = given.name FROM {rows $1: hostname text, name text} AS given \
    WHERE device.hostname = given.hostname AND device.primary_group IS DISTINCT FROM given.name";

const BY_ID: &str = "\
    UPDATE device SET primary_group = given.name FROM {rows $1: id bigint, name text} AS given WHERE device.id = given.id";

/// Of devices that the transaction has locked or creates.
pub(super) async fn write_primaries_by_name(
    session: &(impl SqlSession + ?Sized),
    primaries: &[(&Hostname, Option<&GroupName>)],
) -> Result<(), StoreError> {
    if primaries.is_empty() {
        return Ok(());
    }
    let list = primaries
        .iter()
        .map(|(hostname, primary)| vec![json!(hostname), json!(primary)]);
    session
        .execute_each(WRITE, BY_NAME, vec![vec![rows(list)]])
        .await
        .map(drop)
}

/// Of devices by their numbers. The transaction has locked all devices.
pub(crate) async fn write_primaries(
    session: &(impl SqlSession + ?Sized),
    primaries: &[(i64, Option<GroupName>)],
) -> Result<(), StoreError> {
    for chunk in primaries.chunks(CHUNK) {
        let list = chunk
            .iter()
            .map(|(device, primary)| vec![json!(device), json!(primary)]);
        session.execute_each(WRITE, BY_ID, vec![vec![rows(list)]]).await?;
    }
    Ok(())
}
