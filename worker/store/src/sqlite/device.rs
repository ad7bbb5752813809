use jiff::Timestamp;
use lockstep_protocol::Hostname;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Failure;
use crate::fleet::OPEN_CAUSES;
use crate::{Attributes, DeviceRow, Facts, Lifecycle, Mark, StoreError, SyncState, column};

macro_rules! columns {
    () => {
        "id, hostname, device_type, platform, management_ip, mac, serial, vendor, model, os_version, \
         state, note, until, version_time, version_id, desired_generation, synced_generation, unsynchronized_since, \
         marked_at, marked_by, marked_note, \
         (SELECT controller.hostname FROM device AS controller WHERE controller.id = device.controller_id) AS controller, \
         state_since"
    };
}
pub(super) use columns;

const FIND: &str = concat!("SELECT ", columns!(), " FROM device WHERE hostname = ?1");

const INSERT: &str = "\
    INSERT INTO device (hostname, device_type, platform, management_ip, mac, serial, vendor, model, os_version, \
        state, note, until, version_time, version_id, marked_at, marked_by, marked_note, state_since, hostname_folded) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, lower(?1))";

const DESCRIBE: &str = "\
    UPDATE device SET device_type = ?2, platform = ?3, management_ip = ?4, mac = ?5, serial = ?6, vendor = ?7, \
        model = ?8, os_version = ?9, state = ?10, note = ?11, until = ?12, version_time = ?13, version_id = ?14, \
        marked_at = ?15, marked_by = ?16, marked_note = ?17, state_since = ?18 \
    WHERE hostname = ?1";

const SET_DATA: &str = "UPDATE device SET data = ?2 WHERE hostname = ?1 AND data IS NOT ?2";

const CONTROL: &str = "\
    UPDATE device SET controller_id = (SELECT id FROM device WHERE hostname = ?2) WHERE hostname = ?1";

pub(super) fn find(connection: &Connection, hostname: &Hostname) -> Result<Option<DeviceRow>, Failure> {
    let mut select = connection.prepare_cached(FIND)?;
    let found = select
        .query_row([hostname.as_str()], |row| Ok(read(row)))
        .optional()?;
    found.transpose()
}

/// Reads a row whose first columns are those of `columns!`.
pub(super) fn read(row: &Row<'_>) -> Result<DeviceRow, Failure> {
    let text = |index| row.get::<_, String>(index);
    let optional = |index| row.get::<_, Option<String>>(index);
    let time = |what, index| -> Result<Option<Timestamp>, Failure> {
        let microseconds: Option<i64> = row.get(index)?;
        Ok(microseconds
            .map(|time| column::read_microseconds(what, time))
            .transpose()?)
    };
    let management_ip = optional(4)?
        .map(|ip| column::word("device.management_ip", &ip))
        .transpose()?;
    Ok(DeviceRow {
        id: Some(row.get(0)?),
        hostname: column::name("device.hostname", text(1)?)?,
        attributes: Attributes {
            device_type: column::word("device.device_type", &text(2)?)?,
            platform: optional(3)?,
            management_ip,
            mac: column::optional_name("device.mac", optional(5)?)?,
            serial: column::optional_name("device.serial", optional(6)?)?,
            vendor: optional(7)?,
            model: optional(8)?,
            os_version: optional(9)?,
            controller: column::optional_name("device.controller_id", optional(21)?)?,
        },
        lifecycle: Lifecycle {
            state: column::word("device.state", &text(10)?)?,
            note: optional(11)?,
            until: time("device.until", 12)?,
            version: column::read_version(optional(13)?, optional(14)?)?,
            since: time("device.state_since", 22)?,
        },
        sync: SyncState {
            desired: row.get(15)?,
            synced: row.get(16)?,
            since: time("device.unsynchronized_since", 17)?,
        },
        marked: match time("device.marked_at", 18)? {
            None => None,
            Some(at) => Some(Mark {
                at,
                by: optional(19)?,
                note: optional(20)?,
            }),
        },
        groups: None,
        by_rule: None,
        data: None,
        causes: Vec::new(),
        forgets_causes: false,
        described: false,
        flagged: false,
    })
}

/// Writes changed and new devices.
pub(super) fn write(connection: &Connection, facts: &Facts, cause_ids: &[i64]) -> Result<(), Failure> {
    for row in facts.devices() {
        let new = row.id.is_none();
        if new || row.described {
            describe(connection, if new { INSERT } else { DESCRIBE }, row)?;
        }
        if new || row.flagged {
            flag(connection, row, cause_ids)?;
        }
    }
    // The controller of a device may be one that the same transaction creates.
    let mut control = connection.prepare_cached(CONTROL)?;
    for row in facts.devices().filter(|row| row.id.is_none() || row.described) {
        if let Some(controller) = &row.attributes.controller {
            control.execute([row.hostname.as_str(), controller.as_str()])?;
        }
    }
    let mut set_data = connection.prepare_cached(SET_DATA)?;
    for row in facts.devices() {
        if let Some(data) = row.data.as_ref().filter(|data| data.is_new) {
            set_data.execute([row.hostname.as_str(), &column::data(&data.object)])?;
        }
    }
    Ok(())
}

fn describe(connection: &Connection, statement: &str, row: &DeviceRow) -> Result<(), Failure> {
    let DeviceRow {
        attributes,
        lifecycle,
        marked,
        ..
    } = row;
    connection.prepare_cached(statement)?.execute(params![
        row.hostname.as_str(),
        attributes.device_type.as_str(),
        attributes.platform,
        attributes.management_ip.map(|ip| ip.to_string()),
        attributes.mac.as_ref().map(lockstep_protocol::Mac::as_str),
        attributes.serial.as_ref().map(lockstep_protocol::Serial::as_str),
        attributes.vendor,
        attributes.model,
        attributes.os_version,
        lifecycle.state.as_str(),
        lifecycle.note,
        lifecycle.until.map(column::microseconds),
        lifecycle.version.as_ref().map(column::version_time),
        lifecycle.version.as_ref().map(|version| version.id.as_str()),
        marked.as_ref().map(|mark| column::microseconds(mark.at)),
        marked.as_ref().and_then(|mark| mark.by.as_deref()),
        marked.as_ref().and_then(|mark| mark.note.as_deref()),
        lifecycle.since.map(column::microseconds),
    ])?;
    Ok(())
}

fn flag(connection: &Connection, row: &DeviceRow, cause_ids: &[i64]) -> Result<(), Failure> {
    let mut open = if row.forgets_causes {
        Vec::new()
    } else {
        open_causes(connection, &row.hostname)?
    };
    open.extend(row.causes.iter().map(|index| cause_ids[*index]));
    open.drain(..open.len().saturating_sub(OPEN_CAUSES));
    let mut update = connection.prepare_cached(
        "UPDATE device SET desired_generation = ?2, synced_generation = ?3, unsynchronized_since = ?4, \
            open_causes = ?5 \
         WHERE hostname = ?1",
    )?;
    update.execute(params![
        row.hostname.as_str(),
        row.sync.desired,
        row.sync.synced,
        row.sync.since.map(column::microseconds),
        serde_json::to_string(&open).expect("numbers are JSON"),
    ])?;
    Ok(())
}

/// The open causes of a device, oldest first; none if there is no such device.
pub(super) fn open_causes(connection: &Connection, hostname: &Hostname) -> Result<Vec<i64>, Failure> {
    let mut select = connection.prepare_cached("SELECT open_causes FROM device WHERE hostname = ?1")?;
    let found = select.query_row([hostname.as_str()], |row| row.get::<_, String>(0));
    match found.optional()? {
        Some(text) => Ok(read_open_causes(&text)?),
        None => Ok(Vec::new()),
    }
}

pub(super) fn read_open_causes(text: &str) -> Result<Vec<i64>, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
        what: "device.open_causes".to_owned(),
        reason: error.to_string(),
    })
}
