//! Logins at the identity provider: which account is which principal, and what its last login limited it to; on both databases.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::{AccessLimits, Role};

use super::sql::{SqlDatabase, Value};
use super::{StoreError, access_token};

const WRITE: &str = "write a login";

const DELETE_EXPIRED_STATES: &str = "DELETE FROM oidc_state WHERE expires_at < $1";

const USE_STATE: &str =
    "INSERT INTO oidc_state (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";

const PRINCIPAL_OF_ACCOUNT: &str = "SELECT principal FROM oidc_login WHERE issuer = $1 AND subject = $2";

const INSERT: &str = "\
    INSERT INTO oidc_login (principal, issuer, subject, role, device_groups, tasks, begun_at, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (principal) DO NOTHING";

const UPDATE: &str = "\
    UPDATE oidc_login SET issuer = $2, subject = $3, role = $4, device_groups = $5, tasks = $6, begun_at = $7, expires_at = $8 \
    WHERE principal = $1 AND (subject IS NULL OR (issuer = $2 AND subject = $3))";

const RELEASE: &str = "UPDATE oidc_login SET subject = NULL WHERE principal = $1 AND subject IS NOT NULL";

/// A login that the identity provider confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcLogin {
    /// The SHA-256 of the state of the login, which is used once.
    pub state: [u8; 32],
    /// Until when the state would be accepted.
    pub state_until: Timestamp,
    /// The identity provider.
    pub issuer: String,
    /// The account there.
    pub subject: String,
    /// Who it is here.
    pub principal: String,
    /// What the principal may do.
    pub role: Role,
    /// What its commands are limited to.
    pub limits: AccessLimits,
    /// When.
    pub at: Timestamp,
    /// When its session ends at the latest.
    pub expires_at: Timestamp,
}

/// What became of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OidcLoginOutcome {
    /// A session may begin.
    Accepted,
    /// The state was used before.
    StateUsed,
    /// The account is already this other principal.
    OtherPrincipal(String),
    /// The principal is already another account.
    OtherAccount,
}

/// Keeps logins at the identity provider.
#[async_trait]
pub trait OidcLogins: Debug + Send + Sync + 'static {
    /// Records a login: uses its state, makes the account this principal, and keeps what the principal is limited to. Writes nothing unless
    /// the login is accepted.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn record_oidc_login(&self, login: &OidcLogin) -> Result<OidcLoginOutcome, StoreError>;

    /// Gives the name of a principal free for another account, and lets the account get another name. False if it has no account.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn release_oidc_principal(&self, principal: &str) -> Result<bool, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> OidcLogins for D {
    async fn record_oidc_login(&self, login: &OidcLogin) -> Result<OidcLoginOutcome, StoreError> {
        // Dropping the transaction rolls it back.
        let transaction = self.write(WRITE).await?;
        let expired = vec![vec![login.at.into()]];
        transaction
            .execute_each(WRITE, DELETE_EXPIRED_STATES, expired)
            .await?;
        let state: Value = Bytes::copy_from_slice(&login.state).into();
        let state = vec![vec![state, login.state_until.into()]];
        if transaction.execute_each(WRITE, USE_STATE, state).await? == 0 {
            return Ok(OidcLoginOutcome::StateUsed);
        }
        let account = vec![login.issuer.as_str().into(), login.subject.as_str().into()];
        let rows = transaction.query(WRITE, PRINCIPAL_OF_ACCOUNT, account).await?;
        if let Some(row) = rows.first() {
            let known = row.text("oidc_login.principal", 0)?;
            if known != login.principal {
                return Ok(OidcLoginOutcome::OtherPrincipal(known));
            }
        }
        let inserted = transaction.execute_each(WRITE, INSERT, vec![row(login)]).await?;
        if inserted == 0 && transaction.execute_each(WRITE, UPDATE, vec![row(login)]).await? == 0 {
            return Ok(OidcLoginOutcome::OtherAccount);
        }
        transaction.commit(WRITE).await?;
        Ok(OidcLoginOutcome::Accepted)
    }

    async fn release_oidc_principal(&self, principal: &str) -> Result<bool, StoreError> {
        let transaction = self.write(WRITE).await?;
        let released = transaction
            .execute_each(WRITE, RELEASE, vec![vec![principal.into()]])
            .await?;
        transaction.commit(WRITE).await?;
        Ok(released > 0)
    }
}

fn row(login: &OidcLogin) -> Vec<Value> {
    vec![
        login.principal.as_str().into(),
        login.issuer.as_str().into(),
        login.subject.as_str().into(),
        login.role.as_str().into(),
        access_token::texts(&login.limits.groups).into(),
        access_token::texts(&login.limits.tasks).into(),
        login.at.into(),
        login.expires_at.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn statements_search_tables_by_an_index() {
        for statement in [DELETE_EXPIRED_STATES, PRINCIPAL_OF_ACCOUNT, UPDATE, RELEASE] {
            let plan = query_plan(statement);
            assert!(plan.iter().all(|line| line.contains("SEARCH")), "{plan:?}");
        }
    }
}
