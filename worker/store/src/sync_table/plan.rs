use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use lockstep_protocol::Hostname;

use super::{READ, approval};
use crate::sql::{Row, SqlDatabase, rows};
use crate::{PlanApproval, StoreError, SyncElement, SyncElementQuery, SyncPlans, SyncedTo, column};

/// Elements of a sync, with `$texts` at the end. A device that was removed has had newer causes in any case.
macro_rules! elements {
    ($texts:literal) => {
        concat!(
            "SELECT sync_element.element, element.hostname, element.state, element.reason, element.message, element.changed, \
                sync_element.generation, coalesce(device.desired_generation > sync_element.generation, true), \
                sync_element.settings_commit, sync_element.templates_commit, sync_element.masked, sync_element.hash, \
                CAST(sync_element.score AS text), ",
            $texts,
            " FROM sync_element JOIN element ON element.number = sync_element.element \
                LEFT JOIN device ON device.id = sync_element.device_id \
             WHERE sync_element.execution = $1 AND sync_element.element > $2 \
                AND (CAST($3 AS text) IS NULL OR element.hostname = $3) \
             ORDER BY sync_element.element LIMIT $4"
        )
    };
}

const ELEMENTS: &str = elements!("CAST(NULL AS text), CAST(NULL AS text), CAST(NULL AS text)");
const WHOLE: &str = elements!("sync_element.diff, sync_element.rendered, sync_element.previous");

const SYNCED_TO: &str = "\
    SELECT element, generation, settings_commit, templates_commit FROM sync_element \
    WHERE element IN (SELECT number FROM {rows $1: number bigint} AS listed)";

#[async_trait]
impl<D: SqlDatabase> SyncPlans for D {
    async fn sync_elements(&self, query: &SyncElementQuery) -> Result<Vec<SyncElement>, StoreError> {
        let parameters = vec![
            query.execution.into(),
            query.after.unwrap_or_default().into(),
            query.hostname.as_ref().map(Hostname::as_str).into(),
            query.limit.into(),
        ];
        let statement = if query.whole { WHOLE } else { ELEMENTS };
        let rows = self.read_planned_for_now(READ, statement, parameters).await?;
        rows.iter().map(read).collect()
    }

    async fn synced_to(&self, elements: &[u64]) -> Result<HashMap<u64, SyncedTo>, StoreError> {
        let wanted = rows(elements.iter().map(|element| vec![(*element).into()]));
        let found = self.read_planned_for_now(READ, SYNCED_TO, vec![wanted]).await?;
        found.iter().map(read_synced_to).collect()
    }

    async fn approvals(&self, plans: &BTreeSet<u64>) -> Result<Vec<PlanApproval>, StoreError> {
        if plans.is_empty() {
            return Ok(Vec::new());
        }
        let parameters = vec![approval::listed(plans)];
        let rows = self
            .read_planned_for_now(READ, approval::OF_PLANS, parameters)
            .await?;
        rows.iter().map(approval::read).collect()
    }
}

fn read(row: &Row) -> Result<SyncElement, StoreError> {
    let commit = |what, index| column::optional_name(what, row.optional_text(what, index)?);
    let score = row.optional_text("sync_element.score", 12)?;
    Ok(SyncElement {
        number: row.number("sync_element.element", 0)?,
        hostname: column::name("element.hostname", row.text("element.hostname", 1)?)?,
        state: column::word("element.state", &row.text("element.state", 2)?)?,
        reason: row.optional_text("element.reason", 3)?,
        message: row.optional_text("element.message", 4)?,
        changed: row.boolean("element.changed", 5)?,
        generation: row.integer("sync_element.generation", 6)?,
        is_outdated: row.boolean("device.desired_generation", 7)?,
        settings: commit("sync_element.settings_commit", 8)?,
        templates: commit("sync_element.templates_commit", 9)?,
        masked: row.optional_text("sync_element.masked", 10)?,
        hash: row.optional_text("sync_element.hash", 11)?,
        score: score
            .map(|score| column::word("sync_element.score", &score))
            .transpose()?,
        diff: row.optional_text("sync_element.diff", 13)?,
        rendered: row.optional_text("sync_element.rendered", 14)?,
        previous: row.optional_text("sync_element.previous", 15)?,
    })
}

fn read_synced_to(row: &Row) -> Result<(u64, SyncedTo), StoreError> {
    let commit = |what, index| column::optional_name(what, row.optional_text(what, index)?);
    let to = SyncedTo {
        generation: row.integer("sync_element.generation", 1)?,
        settings: commit("sync_element.settings_commit", 2)?,
        templates: commit("sync_element.templates_commit", 3)?,
    };
    Ok((row.number("sync_element.element", 0)?, to))
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[ELEMENTS, WHOLE, SYNCED_TO];
