//! Tokens that administrators created, and what their holders are limited to, on both databases.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::{AccessLimits, Role};

use super::sql::{Row, SqlDatabase};
use super::{StoreError, access_limits, column};

const READ: &str = "read tokens";
const WRITE: &str = "write a token";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT token.name, token.person, token.role, token.reads, token.sources, token.prefix, token.created_at, token.created_by, \
                token.expires_at, token.rotated_at, token.former_until, token.revoked_at, token.used_at, \
                binding.device_groups, binding.tasks, token.digest, token.former_digest \
             FROM access_token AS token JOIN access_binding AS binding ON binding.principal = token.person AND binding.token = token.name ",
            $rest
        )
    };
}

const LIST: &str = select!("WHERE token.name > CAST($1 AS text) ORDER BY token.name LIMIT $2");

const BY_NAME: &str = select!("WHERE token.name = $1");

const BY_DIGEST: &str = select!("WHERE token.digest = $1");

const BY_FORMER_DIGEST: &str = select!("WHERE token.former_digest = $1");

const OF_PERSON: &str = "SELECT token FROM access_binding WHERE principal = $1 LIMIT 1";

const INSERT: &str = "\
    INSERT INTO access_token (name, person, role, reads, sources, prefix, digest, created_at, created_by, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (name) DO NOTHING";

const BIND: &str = "\
    INSERT INTO access_binding (principal, token, role, device_groups, tasks) VALUES ($1, $2, $3, $4, $5)";

/// The former secret counts from its own rotation on: the one before it is forgotten.
const ROTATE: &str = "\
    UPDATE access_token SET former_digest = digest, former_until = $2, digest = $3, prefix = $4, rotated_at = $5, \
        expires_at = coalesce($6, expires_at) \
    WHERE name = $1 AND revoked_at IS NULL";

const REVOKE: &str = "UPDATE access_token SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";

const USED: &str =
    "UPDATE access_token SET used_at = $2 WHERE name = $1 AND (used_at IS NULL OR used_at < $2)";

/// A token, without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its unique name.
    pub name: String,
    /// The person or the service that it belongs to.
    pub person: String,
    /// What it may do.
    pub role: Role,
    /// What it may read in addition to its role.
    pub reads: Vec<String>,
    /// The sources of its messages; empty for every source that belongs to nobody.
    pub sources: Vec<String>,
    /// What its commands are limited to.
    pub limits: AccessLimits,
    /// The first characters of its secret.
    pub prefix: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it got its present secret, if that is not the first one.
    pub rotated_at: Option<Timestamp>,
    /// Until when the secret before the present one is accepted.
    pub former_until: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, coarsely.
    pub used_at: Option<Timestamp>,
    /// The SHA-256 of its secret.
    pub digest: [u8; 32],
    /// The SHA-256 of its secret before that.
    pub former_digest: Option<[u8; 32]>,
}

/// A token to create.
#[derive(Clone)]
pub struct NewAccessToken {
    /// Its unique name.
    pub name: String,
    /// The person or the service that it belongs to.
    pub person: String,
    /// What it may do.
    pub role: Role,
    /// What it may read in addition to its role.
    pub reads: Vec<String>,
    /// The sources of its messages; empty for every source that belongs to nobody.
    pub sources: Vec<String>,
    /// What its commands are limited to.
    pub limits: AccessLimits,
    /// Its secret.
    pub secret: SecretDigest,
    /// When it is created.
    pub at: Timestamp,
    /// Who creates it.
    pub by: String,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// What is kept of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretDigest {
    /// Its first characters, which reveal nothing that is secret.
    pub prefix: String,
    /// The SHA-256 of all of it.
    pub digest: [u8; 32],
}

/// A new secret of a token.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The secret.
    pub secret: SecretDigest,
    /// When.
    pub at: Timestamp,
    /// Until when the secret before it is accepted.
    pub former_until: Timestamp,
    /// From when on the token is refused; `None` leaves that as it is.
    pub expires_at: Option<Timestamp>,
}

impl Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("name", &self.name)
            .field("person", &self.person)
            .field("role", &self.role)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

impl Debug for NewAccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccessToken")
            .field("name", &self.name)
            .field("person", &self.person)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretDigest")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl AccessToken {
    /// Whether the secret with this digest is one of the token, and accepted at this time.
    pub fn accepts(&self, digest: &[u8; 32], now: Timestamp) -> bool {
        let present = self.digest == *digest;
        let former =
            self.former_digest.as_ref() == Some(digest) && self.former_until.is_some_and(|until| now < until);
        (present || former) && self.is_active(now)
    }

    /// Whether it is neither revoked nor expired at this time.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }
}

/// Keeps tokens.
#[async_trait]
pub trait AccessTokens: Debug + Send + Sync + 'static {
    /// At most `limit` tokens behind this name, ordered by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn access_tokens(&self, after: Option<&str>, limit: u32) -> Result<Vec<AccessToken>, StoreError>;

    /// The token with this name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn access_token(&self, name: &str) -> Result<Option<AccessToken>, StoreError>;

    /// The token whose secret, or whose secret before that, has this digest. It may be revoked or expired.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn access_token_with(&self, digest: [u8; 32]) -> Result<Option<AccessToken>, StoreError>;

    /// Creates a token with what it is limited to. False if a token has or had its name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn create_access_token(&self, token: &NewAccessToken) -> Result<bool, StoreError>;

    /// Gives a token a new secret. False if there is no such token, or if it is revoked.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn rotate_access_token(&self, name: &str, rotation: &Rotation) -> Result<bool, StoreError>;

    /// Revokes a token. False if there is no such token, or if it was revoked before.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn revoke_access_token(&self, name: &str, at: Timestamp) -> Result<bool, StoreError>;

    /// Records that a token was used.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn access_token_used(&self, name: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Whether this person or service has a token, or had one.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn has_access_token_of(&self, person: &str) -> Result<bool, StoreError>;

    /// What a principal is limited to, one entry for each of its tokens, and one for its last login at the identity provider: those that
    /// are accepted now, or if there are none, all that there were, since a command may arrive after its token was revoked. Empty for a
    /// principal that never had a stored token or logged in there.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn access_limits(&self, principal: &str) -> Result<Vec<AccessLimits>, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> AccessTokens for D {
    async fn access_tokens(&self, after: Option<&str>, limit: u32) -> Result<Vec<AccessToken>, StoreError> {
        let page = vec![after.unwrap_or_default().into(), limit.into()];
        let rows = self.read(READ, LIST, page).await?;
        rows.iter().map(read).collect()
    }

    async fn access_token(&self, name: &str) -> Result<Option<AccessToken>, StoreError> {
        let rows = self.read(READ, BY_NAME, vec![name.into()]).await?;
        rows.first().map(read).transpose()
    }

    async fn access_token_with(&self, digest: [u8; 32]) -> Result<Option<AccessToken>, StoreError> {
        // One statement for each, because each walks an index of its own.
        for statement in [BY_DIGEST, BY_FORMER_DIGEST] {
            let digest = Bytes::copy_from_slice(&digest);
            let rows = self.read(READ, statement, vec![digest.into()]).await?;
            if let Some(row) = rows.first() {
                return read(row).map(Some);
            }
        }
        Ok(None)
    }

    async fn create_access_token(&self, token: &NewAccessToken) -> Result<bool, StoreError> {
        let transaction = self.write(WRITE).await?;
        let row = vec![
            token.name.as_str().into(),
            token.person.as_str().into(),
            token.role.as_str().into(),
            texts(&token.reads).into(),
            texts(&token.sources).into(),
            token.secret.prefix.as_str().into(),
            Bytes::copy_from_slice(&token.secret.digest).into(),
            token.at.into(),
            token.by.as_str().into(),
            token.expires_at.into(),
        ];
        if transaction.execute_each(WRITE, INSERT, vec![row]).await? == 0 {
            return Ok(false);
        }
        let binding = vec![
            token.person.as_str().into(),
            token.name.as_str().into(),
            token.role.as_str().into(),
            texts(&token.limits.groups).into(),
            texts(&token.limits.tasks).into(),
        ];
        transaction.execute_each(WRITE, BIND, vec![binding]).await?;
        transaction.commit(WRITE).await?;
        Ok(true)
    }

    async fn rotate_access_token(&self, name: &str, rotation: &Rotation) -> Result<bool, StoreError> {
        let set = vec![
            name.into(),
            rotation.former_until.into(),
            Bytes::copy_from_slice(&rotation.secret.digest).into(),
            rotation.secret.prefix.as_str().into(),
            rotation.at.into(),
            rotation.expires_at.into(),
        ];
        change(self, ROTATE, set).await
    }

    async fn revoke_access_token(&self, name: &str, at: Timestamp) -> Result<bool, StoreError> {
        change(self, REVOKE, vec![name.into(), at.into()]).await
    }

    async fn access_token_used(&self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        change(self, USED, vec![name.into(), at.into()]).await.map(|_| ())
    }

    async fn has_access_token_of(&self, person: &str) -> Result<bool, StoreError> {
        let rows = self.read(READ, OF_PERSON, vec![person.into()]).await?;
        Ok(!rows.is_empty())
    }

    async fn access_limits(&self, principal: &str) -> Result<Vec<AccessLimits>, StoreError> {
        let session = self.snapshot(READ).await?;
        let limits = access_limits::of_principal(&*session, principal).await?;
        session.commit(READ).await?;
        Ok(limits)
    }
}

async fn change<D: SqlDatabase>(
    database: &D,
    statement: &'static str,
    set: Vec<super::sql::Value>,
) -> Result<bool, StoreError> {
    let transaction = database.write(WRITE).await?;
    let changed = transaction.execute_each(WRITE, statement, vec![set]).await?;
    transaction.commit(WRITE).await?;
    Ok(changed > 0)
}

/// A list of texts as JSON.
pub(super) fn texts<T: ToString>(list: &[T]) -> String {
    let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    serde_json::json!(texts).to_string()
}

/// A digest in a column; `None` for a null.
fn optional_digest(row: &Row, what: &str, index: usize) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(bytes) = row.optional_bytes(what, index)? else {
        return Ok(None);
    };
    let digest = <[u8; 32]>::try_from(&*bytes).map_err(|_| StoreError::Corrupt {
        what: what.to_owned(),
        reason: format!("{} bytes where 32 are expected", bytes.len()),
    })?;
    Ok(Some(digest))
}

fn read(row: &Row) -> Result<AccessToken, StoreError> {
    let digest = optional_digest(row, "access_token.digest", 15)?;
    Ok(AccessToken {
        name: row.text("access_token.name", 0)?,
        person: row.text("access_token.person", 1)?,
        role: column::word("access_token.role", &row.text("access_token.role", 2)?)?,
        reads: column::json("access_token.reads", &row.text("access_token.reads", 3)?)?,
        sources: column::json("access_token.sources", &row.text("access_token.sources", 4)?)?,
        prefix: row.text("access_token.prefix", 5)?,
        created_at: row.time("access_token.created_at", 6)?,
        created_by: row.text("access_token.created_by", 7)?,
        expires_at: row.optional_time("access_token.expires_at", 8)?,
        rotated_at: row.optional_time("access_token.rotated_at", 9)?,
        former_until: row.optional_time("access_token.former_until", 10)?,
        revoked_at: row.optional_time("access_token.revoked_at", 11)?,
        used_at: row.optional_time("access_token.used_at", 12)?,
        limits: access_limits::read(row, 13)?,
        digest: digest.ok_or_else(|| StoreError::Corrupt {
            what: "access_token.digest".to_owned(),
            reason: "null".to_owned(),
        })?,
        former_digest: optional_digest(row, "access_token.former_digest", 16)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn statements_use_an_index_and_do_not_sort() {
        for statement in [LIST, BY_NAME, BY_DIGEST, BY_FORMER_DIGEST, OF_PERSON] {
            let plan = query_plan(statement);
            assert!(plan.iter().all(|line| line.contains("SEARCH")), "{plan:?}");
        }
    }
}
