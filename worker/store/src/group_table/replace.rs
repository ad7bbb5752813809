//! Replaces the rules of all groups, and the members that they make. Only what differs is written, so that most changes of the settings
//! write little, and group by group, so that it takes little memory.

use std::collections::{BTreeSet, HashMap, HashSet};

use lockstep_protocol::{GroupName, Hostname};
use serde_json::json;

use super::rules;
use super::{CHUNK, READ, WRITE};
use crate::error_class::ErrorClass;
use crate::sql::{SqlSession, Value, rows};
use crate::{GroupMatches, GroupRule, GroupRuleMembers, NewGroupRules, StoreError, column};

const DEVICES: &str = "SELECT id, hostname, primary_group FROM device";

/// Also those that the settings do not define any more.
const DEFINED: &str = "SELECT id, name FROM device_group WHERE position IS NOT NULL";

const DEFINE: &str = "\
    INSERT INTO device_group (name, regex, priority, position) \
    SELECT name, regex, priority, position FROM {rows $1: name text, regex text, priority integer, position integer} AS given WHERE true \
    ON CONFLICT (name) DO UPDATE SET regex = excluded.regex, priority = excluded.priority, position = excluded.position \
    WHERE device_group.regex IS DISTINCT FROM excluded.regex OR device_group.priority IS DISTINCT FROM excluded.priority \
        OR device_group.position IS DISTINCT FROM excluded.position";

const UNDEFINE: &str = "UPDATE device_group SET regex = NULL, priority = NULL, position = NULL WHERE id = $1";

/// A group stays while a device is a member by list, a client belongs to it, an inventory says whether it is a location, an execution
/// runs on it, or something was found out about it.
const DELETE: &str = "\
    DELETE FROM device_group WHERE id = $1 AND location IS NULL \
        AND NOT EXISTS (SELECT 1 FROM group_member WHERE group_member.group_id = $1) \
        AND NOT EXISTS (SELECT 1 FROM client WHERE client.group_id = $1) \
        AND NOT EXISTS (SELECT 1 FROM fact WHERE fact.entity_type = 'GROUP' AND fact.entity_id = $1) \
        AND NOT EXISTS (SELECT 1 FROM entity_check WHERE entity_check.entity_type = 'GROUP' AND entity_check.entity_id = $1) \
        AND NOT EXISTS (SELECT 1 FROM execution JOIN element ON element.execution = execution.number \
            WHERE execution.ended_at IS NULL AND element.entity_type = 'GROUP' AND element.entity_id = $1)";

const UNLIST: &str = "\
    DELETE FROM group_rule_device WHERE (group_id, hostname) IN (SELECT id, hostname FROM {rows $1: id bigint, hostname text} AS given)";
const LIST: &str = "\
    INSERT INTO group_rule_device (group_id, hostname) SELECT id, hostname FROM {rows $1: id bigint, hostname text} AS given";

const MEMBERS: &str = "SELECT device_id FROM group_member WHERE group_id = $1 AND by_rule";

/// A device that was removed meanwhile is left out.
const JOIN: &str = "\
    INSERT INTO group_member (device_id, group_id, listed, by_rule) \
    SELECT device.id, CAST($1 AS bigint), false, true FROM {rows $2: id bigint} AS given JOIN device ON device.id = given.id WHERE true \
    ON CONFLICT (device_id, group_id) DO UPDATE SET by_rule = true";

const REMOVE: &str = "\
    DELETE FROM group_member WHERE group_id = $1 AND NOT listed AND device_id IN (SELECT id FROM {rows $2: id bigint} AS given)";
const LEAVE: &str = "\
    UPDATE group_member SET by_rule = false WHERE group_id = $1 AND device_id IN (SELECT id FROM {rows $2: id bigint} AS given)";

const REVISE: &str = "UPDATE group_rules SET revision = revision + 1";

/// A device whose primary group changes, and that group.
pub(crate) type NewPrimary = (i64, Option<GroupName>);

/// Writes the rules and their members, in a transaction that lets nobody create or rename devices. Returns the devices whose primary
/// groups change; these are to be written when the devices are locked.
pub(crate) async fn replace(
    session: &(impl SqlSession + ?Sized),
    new: &NewGroupRules,
) -> Result<Vec<NewPrimary>, StoreError> {
    session.plan_for_now(WRITE).await?;
    let fleet = Fleet::read(session).await?;
    let newer = fleet.unmatched(&new.matched);
    let newer = matched(new, newer).await?;
    let matches = [new.matched.as_ref(), &newer];
    let before = defined(session).await?;
    define(session, &new.rules).await?;
    let groups = defined(session).await?;
    write_lists(session, &new.rules, &groups).await?;
    for (position, rule) in new.rules.iter().enumerate() {
        let Some(group) = groups.get(&rule.name) else {
            continue;
        };
        let members = matches.map(|matches| fleet.members(matches, position));
        let members = members.into_iter().flatten().collect();
        write_members(session, *group, &members).await?;
    }
    let names: HashSet<&GroupName> = new.rules.iter().map(|rule| &rule.name).collect();
    for (name, group) in before.iter().filter(|(name, _)| !names.contains(name)) {
        tracing::debug!(group = %name, "the settings do not define the group any more");
        write_members(session, *group, &HashSet::new()).await?;
        for statement in [UNDEFINE, DELETE] {
            let set = vec![(*group).into()];
            session.execute_each(WRITE, statement, vec![set]).await?;
        }
    }
    session.execute_each(WRITE, REVISE, vec![Vec::new()]).await?;
    let primaries = matches.map(|matches| fleet.new_primaries(matches));
    Ok(primaries.into_iter().flatten().collect())
}

/// All devices, by name, with their primary groups.
struct Fleet(HashMap<Hostname, (i64, Option<GroupName>)>);

impl Fleet {
    async fn read(session: &(impl SqlSession + ?Sized)) -> Result<Self, StoreError> {
        let mut devices = HashMap::new();
        for row in session.query(READ, DEVICES, Vec::new()).await? {
            let hostname = column::name("device.hostname", row.text("device.hostname", 1)?)?;
            let primary = row.optional_text("device.primary_group", 2)?;
            let primary = column::optional_name("device.primary_group", primary)?;
            devices.insert(hostname, (row.integer("device.id", 0)?, primary));
        }
        Ok(Self(devices))
    }

    /// The devices that were not matched before.
    fn unmatched(&self, matched: &GroupMatches) -> Vec<Hostname> {
        let matched: HashSet<&Hostname> = matched.hostnames.iter().collect();
        let newer = self.0.keys().filter(|hostname| !matched.contains(hostname));
        newer.cloned().collect()
    }

    /// The numbers of the members by the rule at this position. Devices that are gone are left out.
    fn members(&self, matches: &GroupMatches, position: usize) -> Vec<i64> {
        let places = matches.members.get(position).into_iter().flatten();
        let hostnames = places.filter_map(|place| matches.hostnames.get(usize::try_from(*place).ok()?));
        hostnames
            .filter_map(|hostname| Some(self.0.get(hostname)?.0))
            .collect()
    }

    fn new_primaries(&self, matches: &GroupMatches) -> Vec<NewPrimary> {
        let found = matches.hostnames.iter().zip(&matches.primaries);
        let changed = found.filter_map(|(hostname, primary)| {
            let (device, before) = self.0.get(hostname)?;
            (before != primary).then(|| (*device, primary.clone()))
        });
        changed.collect()
    }
}

/// Matches the devices that were created since the others were matched.
async fn matched(new: &NewGroupRules, hostnames: Vec<Hostname>) -> Result<GroupMatches, StoreError> {
    if hostnames.is_empty() {
        return Ok(GroupMatches::default());
    }
    let matching = new.matching.clone();
    let matched = tokio::task::spawn_blocking(move || matching(hostnames)).await;
    matched.map_err(|panic| ErrorClass::Refused.error("match groups", panic))
}

/// The numbers of the groups that the settings define.
async fn defined(session: &(impl SqlSession + ?Sized)) -> Result<HashMap<GroupName, i64>, StoreError> {
    let rows = session.query(READ, DEFINED, Vec::new()).await?;
    let group = |row: &crate::sql::Row| {
        let name = column::name("device_group.name", row.text("device_group.name", 1)?)?;
        Ok((name, row.integer("device_group.id", 0)?))
    };
    rows.iter().map(group).collect()
}

async fn define(session: &(impl SqlSession + ?Sized), rules: &[GroupRule]) -> Result<(), StoreError> {
    let given = rules.iter().enumerate().map(|(position, rule)| {
        let regex = match &rule.members {
            GroupRuleMembers::Matching(regex) => Some(regex),
            GroupRuleMembers::Listed(_) => None,
        };
        vec![
            json!(rule.name),
            json!(regex),
            json!(rule.priority),
            json!(position),
        ]
    });
    session
        .execute_each(WRITE, DEFINE, vec![vec![rows(given)]])
        .await
        .map(drop)
}

/// Writes the hostnames that rules list.
async fn write_lists(
    session: &(impl SqlSession + ?Sized),
    rules: &[GroupRule],
    groups: &HashMap<GroupName, i64>,
) -> Result<(), StoreError> {
    let mut before: BTreeSet<(i64, String)> = BTreeSet::new();
    for row in session.query(READ, rules::LISTED, Vec::new()).await? {
        let hostname = row.text("group_rule_device.hostname", 1)?;
        before.insert((row.integer("group_rule_device", 0)?, hostname));
    }
    let lists = rules.iter().filter_map(|rule| match &rule.members {
        GroupRuleMembers::Listed(hostnames) => Some((*groups.get(&rule.name)?, hostnames)),
        GroupRuleMembers::Matching(_) => None,
    });
    let after: BTreeSet<(i64, String)> = lists
        .flat_map(|(group, hostnames)| {
            hostnames
                .iter()
                .map(move |hostname| (group, hostname.to_string()))
        })
        .collect();
    for (statement, changed) in [
        (UNLIST, before.difference(&after).collect::<Vec<_>>()),
        (LIST, after.difference(&before).collect()),
    ] {
        for chunk in changed.chunks(CHUNK) {
            let list = chunk
                .iter()
                .map(|(group, hostname)| vec![json!(group), json!(hostname)]);
            session
                .execute_each(WRITE, statement, vec![vec![rows(list)]])
                .await?;
        }
    }
    Ok(())
}

/// Makes these devices, and no others, the members of a group by rule.
async fn write_members(
    session: &(impl SqlSession + ?Sized),
    group: i64,
    members: &HashSet<i64>,
) -> Result<(), StoreError> {
    let found = session.query(READ, MEMBERS, vec![group.into()]).await?;
    let before = found.iter().map(|row| row.integer("group_member.device_id", 0));
    let before = before.collect::<Result<HashSet<i64>, _>>()?;
    for (statements, changed) in [
        (&[REMOVE, LEAVE][..], before.difference(members)),
        (&[JOIN][..], members.difference(&before)),
    ] {
        // Sorted, so that rows of a device are found near those of the one before.
        let mut changed: Vec<i64> = changed.copied().collect();
        changed.sort_unstable();
        for chunk in changed.chunks(CHUNK) {
            let devices = rows(chunk.iter().map(|device| vec![json!(device)]));
            for statement in statements {
                let set: Vec<Value> = vec![group.into(), devices.clone()];
                session.execute_each(WRITE, statement, vec![set]).await?;
            }
        }
    }
    Ok(())
}
