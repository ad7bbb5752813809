//! Sessions of browsers, on both databases.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::{AccessLimits, Role};

use super::sql::{Row, SqlDatabase, Value};
use super::{StoreError, access_limits, access_token, column};

const READ: &str = "read a session";
const WRITE: &str = "write a session";

const SELECT: &str = "\
    SELECT principal, token, role, begun_at, used_at, expires_at, address, reads, device_groups, tasks FROM session WHERE digest = $1";

const INSERT: &str = "\
    INSERT INTO session (digest, principal, token, role, begun_at, used_at, expires_at, address, reads, device_groups, tasks) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

const USED: &str = "UPDATE session SET used_at = $2 WHERE digest = $1 AND used_at < $2";

const END: &str = "DELETE FROM session WHERE digest = $1";

const END_OF_PRINCIPAL: &str = "DELETE FROM session WHERE principal = $1";

/// A session, without the id that the browser has.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginSession {
    /// The SHA-256 of its id.
    pub digest: [u8; 32],
    /// Who logged in.
    pub principal: String,
    /// The token with which it began: its rights are those of the session.
    pub token: Option<String>,
    /// The role that the identity provider said, for a session that began without a token.
    pub role: Option<Role>,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it was used last, coarsely.
    pub used_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
    /// The address of the client that logged in.
    pub address: Option<String>,
    /// What it may read in addition to its role, for a session that began without a token.
    pub reads: Vec<String>,
    /// What its commands are limited to, for a session that began without a token.
    pub limits: AccessLimits,
}

impl Debug for LoginSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginSession")
            .field("principal", &self.principal)
            .field("token", &self.token)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Keeps sessions of browsers.
#[async_trait]
pub trait LoginSessions: Debug + Send + Sync + 'static {
    /// The session whose id has this digest. It may be over.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn login_session(&self, digest: [u8; 32]) -> Result<Option<LoginSession>, StoreError>;

    /// Begins a session.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn begin_login_session(&self, session: &LoginSession) -> Result<(), StoreError>;

    /// Records that a session was used.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn login_session_used(&self, digest: [u8; 32], at: Timestamp) -> Result<(), StoreError>;

    /// Ends a session. False if there is none with this digest.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn end_login_session(&self, digest: [u8; 32]) -> Result<bool, StoreError>;

    /// Ends every session of a principal, and returns how many that were.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn end_login_sessions_of(&self, principal: &str) -> Result<u64, StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> LoginSessions for D {
    async fn login_session(&self, digest: [u8; 32]) -> Result<Option<LoginSession>, StoreError> {
        let rows = self.read(READ, SELECT, vec![bytes(digest)]).await?;
        rows.first().map(|row| read(row, digest)).transpose()
    }

    async fn begin_login_session(&self, session: &LoginSession) -> Result<(), StoreError> {
        let row = vec![
            bytes(session.digest),
            session.principal.as_str().into(),
            session.token.as_deref().into(),
            session.role.map(Role::as_str).into(),
            session.begun_at.into(),
            session.used_at.into(),
            session.expires_at.into(),
            session.address.as_deref().into(),
            access_token::texts(&session.reads).into(),
            access_token::texts(&session.limits.groups).into(),
            access_token::texts(&session.limits.tasks).into(),
        ];
        change(self, INSERT, row).await.map(|_| ())
    }

    async fn login_session_used(&self, digest: [u8; 32], at: Timestamp) -> Result<(), StoreError> {
        change(self, USED, vec![bytes(digest), at.into()])
            .await
            .map(|_| ())
    }

    async fn end_login_session(&self, digest: [u8; 32]) -> Result<bool, StoreError> {
        change(self, END, vec![bytes(digest)])
            .await
            .map(|changed| changed > 0)
    }

    async fn end_login_sessions_of(&self, principal: &str) -> Result<u64, StoreError> {
        change(self, END_OF_PRINCIPAL, vec![principal.into()]).await
    }
}

fn bytes(digest: [u8; 32]) -> Value {
    Bytes::copy_from_slice(&digest).into()
}

async fn change<D: SqlDatabase>(
    database: &D,
    statement: &'static str,
    set: Vec<Value>,
) -> Result<u64, StoreError> {
    let transaction = database.write(WRITE).await?;
    let changed = transaction.execute_each(WRITE, statement, vec![set]).await?;
    transaction.commit(WRITE).await?;
    Ok(changed)
}

fn read(row: &Row, digest: [u8; 32]) -> Result<LoginSession, StoreError> {
    Ok(LoginSession {
        digest,
        principal: row.text("session.principal", 0)?,
        token: row.optional_text("session.token", 1)?,
        role: column::optional_word("session.role", row.optional_text("session.role", 2)?)?,
        begun_at: row.time("session.begun_at", 3)?,
        used_at: row.time("session.used_at", 4)?,
        expires_at: row.time("session.expires_at", 5)?,
        address: row.optional_text("session.address", 6)?,
        reads: column::json("session.reads", &row.text("session.reads", 7)?)?,
        limits: access_limits::read(row, 8)?,
    })
}
