//! What a batch writes about configurations of devices, beside their flags.

use super::WRITE;
use crate::facts::Baseline;
use crate::sql::SqlSession;
use crate::{Facts, StoreError};

const CHECK: &str = "\
    UPDATE device SET checked_at = coalesce($2, checked_at), configuration_hash = CASE WHEN $3 THEN CAST($4 AS text) ELSE configuration_hash END \
    WHERE hostname = $1";

const REBIND: &str = "UPDATE sync_element SET generation = $2 WHERE element = $1";

pub(crate) async fn write(session: &dyn SqlSession, facts: &Facts) -> Result<(), StoreError> {
    let checks = facts.checks().map(|(hostname, check)| {
        let hash = match &check.baseline {
            Baseline::Hash(hash) => Some(hash.as_str()),
            Baseline::Same | Baseline::Nothing => None,
        };
        vec![
            hostname.as_str().into(),
            check.at.into(),
            (check.baseline != Baseline::Same).into(),
            hash.into(),
        ]
    });
    let rebound = facts.rebound().iter();
    let rebound = rebound.map(|(element, generation)| vec![(*element).into(), (*generation).into()]);
    session.execute_each(WRITE, CHECK, checks.collect()).await?;
    session.execute_each(WRITE, REBIND, rebound.collect()).await?;
    Ok(())
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[CHECK, REBIND];
