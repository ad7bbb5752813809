//! Reads the rules of groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use lockstep_protocol::Hostname;

use super::READ;
use crate::sql::SqlSession;
use crate::{GroupRule, GroupRuleMembers, GroupRules, StoreError, column};

const REVISION: &str = "SELECT revision FROM group_rules";

const RULES: &str =
    "SELECT id, name, regex, priority FROM device_group WHERE position IS NOT NULL ORDER BY position";

pub(super) const LISTED: &str =
    "SELECT group_id, hostname FROM group_rule_device ORDER BY group_id, hostname";

/// The rules of the newest revision that was read, so that most transactions read only the revision.
#[derive(Debug, Default)]
pub(crate) struct KnownRules(Mutex<Option<Arc<GroupRules>>>);

impl KnownRules {
    /// The rules, in a transaction that does not let them change. `None` before the first ones are accepted.
    pub(crate) async fn read(
        &self,
        session: &(impl SqlSession + ?Sized),
    ) -> Result<Option<Arc<GroupRules>>, StoreError> {
        let revision = revision(session).await?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.as_ref().is_some_and(|rules| rules.revision == revision) {
            return Ok(known);
        }
        let rules = rules_of(session, revision).await?.map(Arc::new);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&rules);
        Ok(rules)
    }
}

/// The rules. `None` before the first ones are accepted.
pub(crate) async fn read(session: &(impl SqlSession + ?Sized)) -> Result<Option<GroupRules>, StoreError> {
    let revision = revision(session).await?;
    rules_of(session, revision).await
}

async fn revision(session: &(impl SqlSession + ?Sized)) -> Result<i64, StoreError> {
    let rows = session.query(READ, REVISION, Vec::new()).await?;
    rows.first()
        .map_or(Ok(0), |row| row.integer("group_rules.revision", 0))
}

async fn rules_of(
    session: &(impl SqlSession + ?Sized),
    revision: i64,
) -> Result<Option<GroupRules>, StoreError> {
    if revision == 0 {
        return Ok(None);
    }
    let mut listed = listed(session).await?;
    let mut rules = Vec::new();
    for row in session.query(READ, RULES, Vec::new()).await? {
        let members = if let Some(regex) = row.optional_text("device_group.regex", 2)? {
            GroupRuleMembers::Matching(regex)
        } else {
            let group = row.integer("device_group.id", 0)?;
            GroupRuleMembers::Listed(listed.remove(&group).unwrap_or_default())
        };
        rules.push(GroupRule {
            name: column::name("device_group.name", row.text("device_group.name", 1)?)?,
            members,
            priority: row.number("device_group.priority", 3)?,
        });
    }
    Ok(Some(GroupRules { revision, rules }))
}

/// The hostnames that rules list, by the numbers of the groups.
async fn listed(
    session: &(impl SqlSession + ?Sized),
) -> Result<BTreeMap<i64, BTreeSet<Hostname>>, StoreError> {
    let mut listed: BTreeMap<i64, BTreeSet<Hostname>> = BTreeMap::new();
    for row in session.query(READ, LISTED, Vec::new()).await? {
        let hostname = row.text("group_rule_device.hostname", 1)?;
        let hostname = column::name("group_rule_device.hostname", hostname)?;
        let group = row.integer("group_rule_device.group_id", 0)?;
        listed.entry(group).or_default().insert(hostname);
    }
    Ok(listed)
}
