//! Writes the memberships that a batch sets: for each of these devices only what differs.

use std::collections::BTreeSet;

use lockstep_protocol::{GroupName, Hostname};
use serde_json::json;

use super::{WRITE, write_primaries_by_name};
use crate::sql::{SqlSession, rows};
use crate::{Facts, StoreError};

/// The members of `$1` that are none any more. Names of groups have no control characters, so that line feeds separate them.
macro_rules! gone {
    ($kind:literal) => {
        concat!(
            "SELECT member.device_id, member.group_id FROM {rows $1: hostname text, names text} AS given \
             JOIN device ON device.hostname = given.hostname JOIN group_member AS member ON member.device_id = device.id \
             JOIN device_group ON device_group.id = member.group_id \
             WHERE member.",
            $kind,
            " AND replace(given.names, '\n' || device_group.name || '\n', '') = given.names"
        )
    };
}

macro_rules! delete {
    ($kind:literal, $other:literal) => {
        concat!(
            "DELETE FROM group_member WHERE NOT ",
            $other,
            " AND (device_id, group_id) IN (",
            gone!($kind),
            ")"
        )
    };
}

macro_rules! leave {
    ($kind:literal) => {
        concat!(
            "UPDATE group_member SET ",
            $kind,
            " = false WHERE (device_id, group_id) IN (",
            gone!($kind),
            ")"
        )
    };
}

/// An unknown device or group yields a null id, which the table refuses.
macro_rules! join {
    ($kind:literal, $listed:literal, $by_rule:literal) => {
        concat!(
            "INSERT INTO group_member (device_id, group_id, listed, by_rule) \
             SELECT (SELECT id FROM device WHERE device.hostname = given.hostname), \
                (SELECT id FROM device_group WHERE device_group.name = given.name), ",
            $listed,
            ", ",
            $by_rule,
            " FROM {rows $1: hostname text, name text} AS given WHERE true \
             ON CONFLICT (device_id, group_id) DO UPDATE SET ",
            $kind,
            " = true WHERE NOT group_member.",
            $kind
        )
    };
}

/// The statements for one kind of membership, in their order.
struct Kind {
    delete: &'static str,
    leave: &'static str,
    join: &'static str,
}

const LISTED: Kind = Kind {
    delete: delete!("listed", "by_rule"),
    leave: leave!("listed"),
    join: join!("listed", "true", "false"),
};

const BY_RULE: Kind = Kind {
    delete: delete!("by_rule", "listed"),
    leave: leave!("by_rule"),
    join: join!("by_rule", "false", "true"),
};

/// Replaces the memberships that the batch sets, after devices and groups are written.
pub(crate) async fn write(session: &(impl SqlSession + ?Sized), facts: &Facts) -> Result<(), StoreError> {
    let listed = facts
        .devices()
        .filter_map(|row| Some((&row.hostname, row.groups.as_ref()?)));
    LISTED.write(session, listed.collect()).await?;
    let by_rule = || {
        let devices = facts.devices();
        devices.filter_map(|row| Some((&row.hostname, row.by_rule.as_ref()?)))
    };
    let groups = by_rule().map(|(hostname, found)| (hostname, &found.groups));
    BY_RULE.write(session, groups.collect()).await?;
    let primaries: Vec<_> = by_rule()
        .map(|(hostname, found)| (hostname, found.primary.as_ref()))
        .collect();
    write_primaries_by_name(session, &primaries).await
}

impl Kind {
    async fn write(
        &self,
        session: &(impl SqlSession + ?Sized),
        devices: Vec<(&Hostname, &BTreeSet<GroupName>)>,
    ) -> Result<(), StoreError> {
        if devices.is_empty() {
            return Ok(());
        }
        let sets = devices
            .iter()
            .map(|(hostname, groups)| vec![json!(hostname), json!(lines(groups))]);
        let sets = rows(sets);
        session
            .execute_each(WRITE, self.delete, vec![vec![sets.clone()]])
            .await?;
        session.execute_each(WRITE, self.leave, vec![vec![sets]]).await?;
        let pairs = devices.iter().flat_map(|(hostname, groups)| {
            let pairs = groups.iter();
            pairs.map(move |group| vec![json!(hostname), json!(group)])
        });
        let pairs: Vec<_> = pairs.collect();
        if !pairs.is_empty() {
            session
                .execute_each(WRITE, self.join, vec![vec![rows(pairs)]])
                .await?;
        }
        Ok(())
    }
}

/// Each name between line feeds of its own.
fn lines(groups: &BTreeSet<GroupName>) -> String {
    let names = groups.iter().map(GroupName::as_str);
    names.flat_map(|name| ["\n", name, "\n"]).collect()
}
