use std::collections::BTreeSet;

use lockstep_protocol::results::MAX_DEVICES;
use lockstep_protocol::{DeviceType, Hostname};
use rusqlite::{Connection, params};

use super::cause;
use super::error::Failure;
use crate::fleet::OPEN_CAUSES;
use crate::{DeviceSelector, Flagged, NewCause, column};

/// The condition of a device concerned. Its parameters are lists in JSON.
macro_rules! concerned {
    () => {
        "(device_type IN (SELECT value FROM json_each(?1)) OR platform IN (SELECT value FROM json_each(?2)) \
          OR hostname IN (SELECT value FROM json_each(?3)) \
          OR (device_type, platform) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?4)))"
    };
}

const FLAG: &str = concat!(
    "UPDATE device SET desired_generation = desired_generation + 1, \
        unsynchronized_since = min(coalesce(unsynchronized_since, ?5), ?5), \
        open_causes = CASE WHEN json_array_length(open_causes) >= ?7 \
            THEN json_remove(json_insert(open_causes, '$[#]', ?6), '$[0]') \
            ELSE json_insert(open_causes, '$[#]', ?6) END \
     WHERE ",
    concerned!()
);

const COUNT_FLIPPED: &str = concat!(
    "SELECT count(*) FROM device WHERE desired_generation = synced_generation AND ",
    concerned!()
);

const SELECT_CONCERNED: &str = concat!(
    "SELECT hostname FROM device WHERE ",
    concerned!(),
    " ORDER BY hostname LIMIT ?5"
);

/// Flags the devices that a selector matches, and writes the cause if it concerns any.
pub(super) fn flag(
    connection: &Connection,
    selector: &DeviceSelector,
    cause: &NewCause,
) -> Result<Flagged, Failure> {
    let mut hostnames: Vec<Hostname> = selector.hostnames.iter().cloned().collect();
    let mut existing = BTreeSet::new();
    let mut select = connection.prepare_cached("SELECT 1 FROM device WHERE hostname = ?1")?;
    for hostname in &selector.hostnames {
        if select.exists([hostname.as_str()])? {
            existing.insert(hostname);
        }
    }
    let unknown = selector
        .hostnames
        .iter()
        .filter(|hostname| !existing.contains(hostname));
    let unknown_hostnames = unknown.cloned().collect();
    if let Some(predicate) = &selector.predicate {
        let mut select = connection.prepare_cached("SELECT hostname FROM device")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let hostname: Hostname = column::name("device.hostname", row.get(0)?)?;
            if predicate(&hostname) {
                hostnames.push(hostname);
            }
        }
    }
    let types: Vec<&str> = selector.device_types.iter().map(DeviceType::as_str).collect();
    let pairs: Vec<(&str, &str)> = selector
        .platforms
        .iter()
        .map(|(kind, platform)| (kind.as_str(), platform.as_str()))
        .collect();
    let (types, whole) = (json(&types), json(&selector.whole_platforms));
    let (hostnames, pairs) = (json(&hostnames), json(&pairs));

    let mut devices = Vec::new();
    let mut select = connection.prepare_cached(SELECT_CONCERNED)?;
    let mut rows = select.query(params![types, whole, hostnames, pairs, count(MAX_DEVICES)])?;
    while let Some(row) = rows.next()? {
        devices.push(column::name("device.hostname", row.get(0)?)?);
    }
    if devices.is_empty() {
        return Ok(Flagged {
            unknown_hostnames,
            ..Flagged::default()
        });
    }
    let flipped: i64 = connection
        .prepare_cached(COUNT_FLIPPED)?
        .query_row(params![types, whole, hostnames, pairs], |row| row.get(0))?;
    let id = cause::insert(connection, std::slice::from_ref(cause))?[0];
    let at = column::microseconds(cause.at);
    let concerned = connection.prepare_cached(FLAG)?.execute(params![
        types,
        whole,
        hostnames,
        pairs,
        at,
        id,
        count(OPEN_CAUSES)
    ])?;
    Ok(Flagged {
        concerned: concerned as u64,
        flipped: u64::try_from(flipped).unwrap_or(0),
        devices,
        unknown_hostnames,
    })
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn json(list: &impl serde::Serialize) -> String {
    serde_json::to_string(list).expect("texts are JSON")
}
