//! The approvals of plans.

use std::collections::BTreeSet;

use super::{READ, WRITE};
use crate::sql::{Row, SqlSession, Value, rows};
use crate::{PlanApproval, StoreError};

const APPROVE: &str = "\
    INSERT INTO plan_approval (plan, actor, at, expires_at, note) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (plan, actor) DO UPDATE SET at = excluded.at, expires_at = excluded.expires_at, note = excluded.note";

const WITHDRAW: &str = "DELETE FROM plan_approval WHERE plan = $1 AND actor = $2";

pub(super) const OF_PLANS: &str = "\
    SELECT plan, actor, at, expires_at, note FROM plan_approval \
    WHERE plan IN (SELECT number FROM {rows $1: number bigint} AS listed) ORDER BY plan, at, actor";

/// Writes an approval, in the place of an earlier one of the same sender.
pub(crate) async fn approve(session: &dyn SqlSession, approval: &PlanApproval) -> Result<(), StoreError> {
    let parameters = vec![
        approval.plan.into(),
        approval.by.as_str().into(),
        approval.at.into(),
        approval.expires_at.into(),
        approval.note.as_deref().into(),
    ];
    session.execute_each(WRITE, APPROVE, vec![parameters]).await?;
    Ok(())
}

/// Deletes the approval of a sender. False if there is none.
pub(crate) async fn withdraw(session: &dyn SqlSession, plan: u64, by: &str) -> Result<bool, StoreError> {
    let parameters = vec![plan.into(), by.into()];
    let deleted = session.execute_each(WRITE, WITHDRAW, vec![parameters]).await?;
    Ok(deleted > 0)
}

/// The approvals of one plan, in an open transaction.
pub(crate) async fn of(session: &dyn SqlSession, plan: u64) -> Result<Vec<PlanApproval>, StoreError> {
    let found = session
        .query(READ, OF_PLANS, vec![listed(&[plan].into())])
        .await?;
    found.iter().map(read).collect()
}

/// The parameter of [`OF_PLANS`].
pub(super) fn listed(plans: &BTreeSet<u64>) -> Value {
    rows(plans.iter().map(|plan| vec![(*plan).into()]))
}

pub(super) fn read(row: &Row) -> Result<PlanApproval, StoreError> {
    Ok(PlanApproval {
        plan: row.number("plan_approval.plan", 0)?,
        by: row.text("plan_approval.actor", 1)?,
        at: row.time("plan_approval.at", 2)?,
        expires_at: row.time("plan_approval.expires_at", 3)?,
        note: row.optional_text("plan_approval.note", 4)?,
    })
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[APPROVE, WITHDRAW, OF_PLANS];
