//! Tokens, sessions and audit in memory, for tests of the console.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{AccessLimits, AuditOutcome, Role};
use lockstep_store::{
    AccessToken, AccessTokens, AuditEntry, AuditLog, AuditQuery, LoginSession, LoginSessions, NewAccessToken,
    NewAuditEntry, OidcLogin, OidcLoginOutcome, OidcLogins, Rotation, StoreError,
};

use crate::access::secret;
use crate::fakes::FakeStore;

#[derive(Debug, Default)]
pub(crate) struct FakeAccess {
    pub(crate) tokens: Mutex<Vec<AccessToken>>,
    /// How often a token was looked up by its secret.
    pub(crate) reads: AtomicUsize,
    pub(crate) sessions: Mutex<Vec<LoginSession>>,
    /// The logins that were accepted. An empty subject was released.
    pub(crate) oidc_logins: Mutex<Vec<OidcLogin>>,
    /// The oldest first.
    pub(crate) audit: Mutex<Vec<NewAuditEntry>>,
}

/// A token with this secret, without limits.
pub(crate) fn access_token(name: &str, person: &str, role: Role, text: &str) -> AccessToken {
    let stored = secret::stored(text);
    AccessToken {
        name: name.to_owned(),
        person: person.to_owned(),
        role,
        reads: Vec::new(),
        sources: Vec::new(),
        limits: AccessLimits::default(),
        prefix: stored.prefix,
        created_at: Timestamp::UNIX_EPOCH,
        created_by: "root".to_owned(),
        expires_at: None,
        rotated_at: None,
        former_until: None,
        revoked_at: None,
        used_at: None,
        digest: stored.digest,
        former_digest: None,
    }
}

#[async_trait]
impl AccessTokens for FakeStore {
    async fn access_tokens(&self, after: Option<&str>, limit: u32) -> Result<Vec<AccessToken>, StoreError> {
        self.check("access_tokens")?;
        let mut tokens = self.access.tokens.lock().unwrap().clone();
        tokens.sort_by(|one, other| one.name.cmp(&other.name));
        tokens.retain(|token| after.is_none_or(|after| token.name.as_str() > after));
        tokens.truncate(limit as usize);
        Ok(tokens)
    }

    async fn access_token(&self, name: &str) -> Result<Option<AccessToken>, StoreError> {
        self.check("access_token")?;
        let tokens = self.access.tokens.lock().unwrap();
        Ok(tokens.iter().find(|token| token.name == name).cloned())
    }

    async fn access_token_with(&self, digest: [u8; 32]) -> Result<Option<AccessToken>, StoreError> {
        self.check("access_token_with")?;
        self.access.reads.fetch_add(1, Ordering::SeqCst);
        let tokens = self.access.tokens.lock().unwrap();
        let has = |token: &&AccessToken| token.digest == digest || token.former_digest == Some(digest);
        Ok(tokens.iter().find(has).cloned())
    }

    async fn create_access_token(&self, token: &NewAccessToken) -> Result<bool, StoreError> {
        self.check("create_access_token")?;
        let mut tokens = self.access.tokens.lock().unwrap();
        if tokens.iter().any(|known| known.name == token.name) {
            return Ok(false);
        }
        tokens.push(AccessToken {
            name: token.name.clone(),
            person: token.person.clone(),
            role: token.role,
            reads: token.reads.clone(),
            sources: token.sources.clone(),
            limits: token.limits.clone(),
            prefix: token.secret.prefix.clone(),
            created_at: token.at,
            created_by: token.by.clone(),
            expires_at: token.expires_at,
            rotated_at: None,
            former_until: None,
            revoked_at: None,
            used_at: None,
            digest: token.secret.digest,
            former_digest: None,
        });
        Ok(true)
    }

    async fn rotate_access_token(&self, name: &str, rotation: &Rotation) -> Result<bool, StoreError> {
        self.check("rotate_access_token")?;
        let mut tokens = self.access.tokens.lock().unwrap();
        let token = tokens
            .iter_mut()
            .find(|token| token.name == name && token.revoked_at.is_none());
        let Some(token) = token else { return Ok(false) };
        token.former_digest = Some(token.digest);
        token.former_until = Some(rotation.former_until);
        token.digest = rotation.secret.digest;
        token.prefix.clone_from(&rotation.secret.prefix);
        token.rotated_at = Some(rotation.at);
        token.expires_at = rotation.expires_at.or(token.expires_at);
        Ok(true)
    }

    async fn revoke_access_token(&self, name: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.check("revoke_access_token")?;
        let mut tokens = self.access.tokens.lock().unwrap();
        let token = tokens
            .iter_mut()
            .find(|token| token.name == name && token.revoked_at.is_none());
        let Some(token) = token else { return Ok(false) };
        token.revoked_at = Some(at);
        Ok(true)
    }

    async fn access_token_used(&self, name: &str, at: Timestamp) -> Result<(), StoreError> {
        self.check("access_token_used")?;
        let mut tokens = self.access.tokens.lock().unwrap();
        if let Some(token) = tokens.iter_mut().find(|token| token.name == name) {
            token.used_at = Some(at);
        }
        Ok(())
    }

    async fn has_access_token_of(&self, person: &str) -> Result<bool, StoreError> {
        self.check("has_access_token_of")?;
        let tokens = self.access.tokens.lock().unwrap();
        Ok(tokens.iter().any(|token| token.person == person))
    }

    async fn access_limits(&self, _principal: &str) -> Result<Vec<AccessLimits>, StoreError> {
        unreachable!("a worker asks")
    }
}

#[async_trait]
impl LoginSessions for FakeStore {
    async fn login_session(&self, digest: [u8; 32]) -> Result<Option<LoginSession>, StoreError> {
        self.check("login_session")?;
        let sessions = self.access.sessions.lock().unwrap();
        Ok(sessions.iter().find(|session| session.digest == digest).cloned())
    }

    async fn begin_login_session(&self, session: &LoginSession) -> Result<(), StoreError> {
        self.check("begin_login_session")?;
        self.access.sessions.lock().unwrap().push(session.clone());
        Ok(())
    }

    async fn login_session_used(&self, digest: [u8; 32], at: Timestamp) -> Result<(), StoreError> {
        self.check("login_session_used")?;
        let mut sessions = self.access.sessions.lock().unwrap();
        if let Some(session) = sessions.iter_mut().find(|session| session.digest == digest) {
            session.used_at = at;
        }
        Ok(())
    }

    async fn end_login_session(&self, digest: [u8; 32]) -> Result<bool, StoreError> {
        self.check("end_login_session")?;
        let mut sessions = self.access.sessions.lock().unwrap();
        let before = sessions.len();
        sessions.retain(|session| session.digest != digest);
        Ok(sessions.len() < before)
    }

    async fn end_login_sessions_of(&self, principal: &str) -> Result<u64, StoreError> {
        self.check("end_login_sessions_of")?;
        let mut sessions = self.access.sessions.lock().unwrap();
        let before = sessions.len();
        sessions.retain(|session| session.principal != principal);
        Ok((before - sessions.len()) as u64)
    }
}

#[async_trait]
impl OidcLogins for FakeStore {
    async fn record_oidc_login(&self, login: &OidcLogin) -> Result<OidcLoginOutcome, StoreError> {
        self.check("record_oidc_login")?;
        let mut logins = self.access.oidc_logins.lock().unwrap();
        if logins.iter().any(|known| known.state == login.state) {
            return Ok(OidcLoginOutcome::StateUsed);
        }
        let last = logins.iter().rfind(|known| known.subject == login.subject);
        if let Some(last) = last.filter(|last| last.principal != login.principal) {
            return Ok(OidcLoginOutcome::OtherPrincipal(last.principal.clone()));
        }
        let of_other = |known: &OidcLogin| {
            known.principal == login.principal && known.subject != login.subject && !known.subject.is_empty()
        };
        if logins.iter().any(of_other) {
            return Ok(OidcLoginOutcome::OtherAccount);
        }
        logins.push(login.clone());
        Ok(OidcLoginOutcome::Accepted)
    }

    async fn release_oidc_principal(&self, principal: &str) -> Result<bool, StoreError> {
        self.check("release_oidc_principal")?;
        let mut logins = self.access.oidc_logins.lock().unwrap();
        let mut released = false;
        for login in logins.iter_mut().filter(|login| login.principal == principal) {
            released |= !std::mem::take(&mut login.subject).is_empty();
        }
        Ok(released)
    }
}

#[async_trait]
impl AuditLog for FakeStore {
    async fn audit(&self, entries: &[NewAuditEntry]) -> Result<(), StoreError> {
        self.check("audit")?;
        self.access.audit.lock().unwrap().extend_from_slice(entries);
        Ok(())
    }

    async fn audit_entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        self.check("audit_entries")?;
        let audit = self.access.audit.lock().unwrap();
        let mut numbered: Vec<(&NewAuditEntry, u64)> = audit.iter().zip(1..).collect();
        numbered.reverse();
        let matching = numbered.into_iter().filter(|(entry, number)| {
            query.before.is_none_or(|before| *number < before)
                && query.kind.is_none_or(|kind| entry.kind == kind)
                && (query.principal.is_none() || entry.actor.principal == query.principal)
                && query.message.as_ref().is_none_or(|id| {
                    let message = entry.message.as_ref();
                    message.is_some_and(|message| message.id.as_str() == id)
                })
                && query
                    .outcome
                    .is_none_or(|outcome| outcome == AuditOutcome::Asked && entry.message.is_some())
                && (query.subject.is_none() || entry.subject == query.subject)
        });
        let found = matching.map(|(entry, number)| AuditEntry {
            number,
            at: Timestamp::UNIX_EPOCH,
            entry: entry.clone(),
            decision: None,
        });
        Ok(found.take(query.limit as usize).collect())
    }
}
