use std::net::IpAddr;

use tokio_postgres::Row;

use super::broad;
use super::microseconds::Microseconds;
use super::write::Write;
use crate::fleet::OPEN_CAUSES;
use crate::{Attributes, DeviceRow, Facts, Lifecycle, Mark, StoreError, SyncState, column};

macro_rules! columns {
    () => {
        concat!(
            "id, hostname, device_type, platform, management_ip, mac, serial, vendor, model, os_version, \
             state, note, until, version_time, version_id, desired_generation, synced_generation, ",
            crate::postgres::broad::since!(),
            " AS since, marked_at, marked_by, marked_note, \
             (SELECT controller.hostname FROM device AS controller WHERE controller.id = device.controller_id) AS controller, state_since"
        )
    };
}
pub(super) use columns;

/// Locks rows in the order of their ids, so that two batches cannot deadlock. Inserts of rows that refer to a device
/// (an interface, a member) do not wait, because the key of the device does not change. `+ 0` keeps the planner from reading the whole
/// index of the ids, which it would do for a table that was small, and then keep to.
pub(super) const LOCK: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM device WHERE hostname = ANY($1) ORDER BY id + 0 FOR NO KEY UPDATE"
);

/// The place of the row that has a value in a column, in an `UPDATE` that joins a list of rows as `new`. `OFFSET 0` prevents a join with
/// the whole table: each row is looked up by the index, however small the table was when the statement was planned.
macro_rules! stored_by {
    ($column:literal) => {
        concat!(
            " CROSS JOIN LATERAL (SELECT ctid FROM device AS stored WHERE stored.",
            $column,
            " = new.",
            $column,
            " OFFSET 0) AS stored (place)"
        )
    };
}

/// `$7` is the array of the causes of all devices; each device takes a slice. Only the newest 32 are kept.
pub(super) const FLAG: &str = concat!(
    "UPDATE device SET \
        desired_generation = new.desired, synced_generation = new.synced, unsynchronized_since = new.since, \
        broad_seen = ",
    broad::seen!(),
    ", open_causes = CASE WHEN new.forgets THEN ($7::bigint[])[new.first:new.last] ELSE ",
    broad::open_causes!("($7::bigint[])[new.first:new.last]"),
    " END \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::boolean[], $6::integer[], $8::integer[]) \
        AS new (id, desired, synced, since, forgets, first, last)",
    stored_by!("id"),
    " WHERE device.ctid = stored.place"
);

/// A change of the type or the platform neither closes broad causes nor opens earlier ones.
pub(super) const DESCRIBE: &str = concat!(
    "UPDATE device SET broad_seen = ",
    broad::seen!(),
    ", unsynchronized_since = ",
    broad::since!(),
    ", open_causes = ",
    broad::open_causes!(),
    ", device_type = new.device_type, platform = new.platform, management_ip = new.management_ip, mac = new.mac, \
        serial = new.serial, vendor = new.vendor, model = new.model, os_version = new.os_version, \
        state = new.state, note = new.note, until = new.until, version_time = new.version_time, version_id = new.version_id, \
        marked_at = new.marked_at, marked_by = new.marked_by, marked_note = new.marked_note, state_since = new.state_since \
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::inet[], $5::text[], $6::text[], $7::text[], $8::text[], \
            $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::text[], $14::text[], \
            $15::timestamptz[], $16::text[], $17::text[], $18::timestamptz[]) \
        AS new (id, device_type, platform, management_ip, mac, serial, vendor, model, os_version, \
            state, note, until, version_time, version_id, marked_at, marked_by, marked_note, state_since)",
    stored_by!("id"),
    " WHERE device.ctid = stored.place"
);

/// Earlier broad causes do not concern a new device.
pub(super) const INSERT: &str = concat!(
    "INSERT INTO device (hostname, hostname_folded, device_type, platform, management_ip, mac, serial, vendor, model, os_version, \
        state, note, until, version_time, version_id, marked_at, marked_by, marked_note, state_since, \
        desired_generation, synced_generation, unsynchronized_since, open_causes, broad_seen) \
    SELECT hostname, lower(hostname COLLATE \"C\"), device_type, platform, management_ip, mac, serial, vendor, model, os_version, \
        state, note, until, version_time, version_id, marked_at, marked_by, marked_note, state_since, \
        desired, synced, since, ($24::bigint[])[first:last], coalesce(",
    broad::newest!(),
    ", 0) \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::inet[], $5::text[], $6::text[], $7::text[], $8::text[], \
            $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::text[], $14::text[], \
            $15::timestamptz[], $16::text[], $17::text[], $18::timestamptz[], \
            $19::bigint[], $20::bigint[], $21::timestamptz[], $22::integer[], $23::integer[]) \
        AS new (hostname, device_type, platform, management_ip, mac, serial, vendor, model, os_version, \
            state, note, until, version_time, version_id, marked_at, marked_by, marked_note, state_since, \
            desired, synced, since, first, last)"
);

/// The controller of a device may be one that the same transaction creates, so this comes after all devices are written.
pub(super) const CONTROL: &str = concat!(
    "UPDATE device SET controller_id = controller.id FROM unnest($1::text[], $2::text[]) AS new (hostname, controller)",
    stored_by!("hostname"),
    " CROSS JOIN LATERAL (SELECT id FROM device AS named WHERE named.hostname = new.controller OFFSET 0) AS controller \
    WHERE device.ctid = stored.place AND device.controller_id IS DISTINCT FROM controller.id"
);

/// Data that stays the same is not written.
pub(super) const SET_DATA: &str = concat!(
    "UPDATE device SET data = new.data FROM unnest($1::text[], $2::text[]) AS new (hostname, data)",
    stored_by!("hostname"),
    " WHERE device.ctid = stored.place AND device.data IS DISTINCT FROM new.data"
);

/// Reads a row whose first columns are those of `columns!`.
pub(super) fn read(row: &Row) -> Result<DeviceRow, StoreError> {
    Ok(DeviceRow {
        id: Some(row.get(0)),
        hostname: column::name("device.hostname", row.get(1))?,
        attributes: Attributes {
            device_type: column::word("device.device_type", row.get(2))?,
            platform: row.get(3),
            management_ip: row.get::<_, Option<IpAddr>>(4),
            mac: column::optional_name("device.mac", row.get(5))?,
            serial: column::optional_name("device.serial", row.get(6))?,
            vendor: row.get(7),
            model: row.get(8),
            os_version: row.get(9),
            controller: column::optional_name("device.controller_id", row.get(21))?,
        },
        lifecycle: Lifecycle {
            state: column::word("device.state", row.get(10))?,
            note: row.get(11),
            until: row.get::<_, Option<Microseconds>>(12).map(|time| time.0),
            version: column::read_version(row.get(13), row.get(14))?,
            since: row.get::<_, Option<Microseconds>>(22).map(|time| time.0),
        },
        sync: SyncState {
            desired: row.get(15),
            synced: row.get(16),
            since: row.get::<_, Option<Microseconds>>(17).map(|time| time.0),
        },
        marked: row.get::<_, Option<Microseconds>>(18).map(|at| Mark {
            at: at.0,
            by: row.get(19),
            note: row.get(20),
        }),
        groups: None,
        by_rule: None,
        data: None,
        causes: Vec::new(),
        forgets_causes: false,
        described: false,
        flagged: false,
    })
}

/// Updates existing devices: first their attributes, then their flags.
pub(super) fn update<'a>(facts: &'a Facts, cause_ids: &[i64]) -> impl Iterator<Item = Write<'a>> {
    let existing = || facts.devices().filter_map(|row| row.id.map(|id| (id, row)));
    let described: Vec<_> = existing().filter(|(_, row)| row.described).collect();
    let flagged: Vec<_> = existing().filter(|(_, row)| row.flagged).collect();
    let describe = (!described.is_empty()).then(|| {
        let write = Write::new(DESCRIBE).column(described.iter().map(|(id, _)| *id));
        description(write, described.iter().map(|(_, row)| *row))
    });
    let flag = (!flagged.is_empty()).then(|| {
        let causes = Causes::of(flagged.iter().map(|(_, row)| *row), cause_ids);
        Write::new(FLAG)
            .column(flagged.iter().map(|(id, _)| *id))
            .column(flagged.iter().map(|(_, row)| row.sync.desired))
            .column(flagged.iter().map(|(_, row)| row.sync.synced))
            .column(flagged.iter().map(|(_, row)| row.sync.since.map(Microseconds)))
            .column(flagged.iter().map(|(_, row)| row.forgets_causes))
            .column(causes.first)
            .column(causes.ids)
            .column(causes.last)
    });
    describe.into_iter().chain(flag)
}

pub(super) fn insert<'a>(facts: &'a Facts, cause_ids: &[i64]) -> Option<Write<'a>> {
    let new: Vec<&DeviceRow> = facts.devices().filter(|row| row.id.is_none()).collect();
    if new.is_empty() {
        return None;
    }
    let causes = Causes::of(new.iter().copied(), cause_ids);
    let write = Write::new(INSERT).column(new.iter().map(|row| row.hostname.as_str()));
    Some(
        description(write, new.iter().copied())
            .column(new.iter().map(|row| row.sync.desired))
            .column(new.iter().map(|row| row.sync.synced))
            .column(new.iter().map(|row| row.sync.since.map(Microseconds)))
            .column(causes.first)
            .column(causes.last)
            .column(causes.ids),
    )
}

/// Assigns devices to their controllers.
pub(super) fn control(facts: &Facts) -> Option<Write<'_>> {
    let described = facts.devices().filter(|row| row.id.is_none() || row.described);
    let controlled: Vec<_> = described
        .filter_map(|row| Some((&row.hostname, row.attributes.controller.as_ref()?)))
        .collect();
    (!controlled.is_empty()).then(|| {
        Write::new(CONTROL)
            .column(controlled.iter().map(|(hostname, _)| hostname.as_str()))
            .column(controlled.iter().map(|(_, controller)| controller.as_str()))
    })
}

/// Writes what the inventory says about devices.
pub(super) fn set_data(facts: &Facts) -> Option<Write<'_>> {
    let set = || {
        let rows = facts
            .devices()
            .filter_map(|row| Some((&row.hostname, row.data.as_ref()?)));
        rows.filter(|(_, data)| data.is_new)
    };
    set().next().is_some().then(|| {
        Write::new(SET_DATA)
            .column(set().map(|(hostname, _)| hostname.as_str()))
            .column(set().map(|(_, data)| column::data(&data.object)))
    })
}

/// The values of the columns from `device_type` to `state_since`.
fn description<'a>(write: Write<'a>, rows: impl Iterator<Item = &'a DeviceRow> + Clone) -> Write<'a> {
    let attributes = rows.clone().map(|row| &row.attributes);
    let lifecycles = rows.clone().map(|row| &row.lifecycle);
    let marks = rows.map(|row| row.marked.as_ref());
    let versions = lifecycles.clone().map(|row| row.version.as_ref());
    write
        .column(attributes.clone().map(|row| row.device_type.as_str()))
        .column(attributes.clone().map(|row| row.platform.as_deref()))
        .column(attributes.clone().map(|row| row.management_ip))
        .column(
            attributes
                .clone()
                .map(|row| row.mac.as_ref().map(lockstep_protocol::Mac::as_str)),
        )
        .column(
            attributes
                .clone()
                .map(|row| row.serial.as_ref().map(lockstep_protocol::Serial::as_str)),
        )
        .column(attributes.clone().map(|row| row.vendor.as_deref()))
        .column(attributes.clone().map(|row| row.model.as_deref()))
        .column(attributes.map(|row| row.os_version.as_deref()))
        .column(lifecycles.clone().map(|row| row.state.as_str()))
        .column(lifecycles.clone().map(|row| row.note.as_deref()))
        .column(lifecycles.clone().map(|row| row.until.map(Microseconds)))
        .column(versions.clone().map(|version| version.map(column::version_time)))
        .column(versions.map(|version| version.map(|version| version.id.as_str())))
        .column(marks.clone().map(|mark| mark.map(|mark| Microseconds(mark.at))))
        .column(
            marks
                .clone()
                .map(|mark| mark.and_then(|mark| mark.by.as_deref()).map(column::without_nul)),
        )
        .column(marks.map(|mark| mark.and_then(|mark| mark.note.as_deref())))
        .column(lifecycles.map(|row| row.since.map(Microseconds)))
}

/// The new causes of several devices as one array, with the slice of each device. PostgreSQL has no arrays of arrays with
/// different lengths.
#[derive(Debug, Default, PartialEq)]
struct Causes {
    ids: Vec<i64>,
    first: Vec<i32>,
    last: Vec<i32>,
}

impl Causes {
    fn of<'a>(rows: impl Iterator<Item = &'a DeviceRow>, ids: &[i64]) -> Self {
        let mut causes = Self::default();
        let position = |causes: &Self| i32::try_from(causes.ids.len()).expect("a batch has fewer causes");
        for row in rows {
            let newest = &row.causes[row.causes.len().saturating_sub(OPEN_CAUSES)..];
            causes.first.push(position(&causes) + 1);
            causes.ids.extend(newest.iter().map(|index| ids[*index]));
            causes.last.push(position(&causes));
        }
        causes
    }
}
