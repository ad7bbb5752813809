use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lockstep_http::{ReadScope, Token};
use lockstep_protocol::authority::SourceOwners;
use lockstep_store::{AccessToken, AccessTokens, StoreError};
use tokio::time::Instant;

use super::secret;

/// How long what the store said about a secret counts. A token that another console revoked is refused after this time.
const COUNTS_FOR: Duration = Duration::from_secs(5);
/// The most secrets that are remembered. With more, all are forgotten.
const MOST_SECRETS: usize = 10_000;
/// How exact the time of the last use is.
const USE_PRECISION: Duration = Duration::from_mins(10);

/// The tokens of the store, as requests ask for them.
#[derive(Debug)]
pub(crate) struct StoredTokens {
    store: Arc<dyn AccessTokens>,
    /// The sources that belong to configured tokens.
    owners: Arc<SourceOwners>,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

/// What the store said about a secret.
#[derive(Clone, Debug)]
struct Known {
    at: Instant,
    found: Option<Found>,
}

#[derive(Clone, Debug)]
struct Found {
    row: Arc<AccessToken>,
    token: Arc<Token>,
}

impl StoredTokens {
    pub(crate) fn new(store: Arc<dyn AccessTokens>, owners: Arc<SourceOwners>) -> Self {
        Self {
            store,
            owners,
            known: Mutex::default(),
        }
    }

    /// The token with this secret, if it is accepted now.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn holder(&self, text: &str, now: Timestamp) -> Result<Option<Arc<Token>>, StoreError> {
        if !secret::is_token(text) {
            return Ok(None);
        }
        let digest = secret::digest(text);
        let found = match self.remembered(&digest) {
            Some(known) => known.found,
            None => self.look_up(digest, now).await?,
        };
        let accepted = found.filter(|found| found.row.accepts(&digest, now));
        Ok(accepted.map(|found| found.token))
    }

    /// The token with this name, if it is neither revoked nor expired now: that of a session.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn named(&self, name: &str, now: Timestamp) -> Result<Option<Arc<Token>>, StoreError> {
        let row = self.store.access_token(name).await?;
        let active = row.filter(|row| row.is_active(now));
        Ok(active.map(|row| Arc::new(self.token(&row))))
    }

    /// Forgets what the store said, after it was changed.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, digest: &[u8; 32]) -> Option<Known> {
        let known = self.known();
        let known = known.get(digest)?;
        (known.at.elapsed() < COUNTS_FOR).then(|| known.clone())
    }

    async fn look_up(&self, digest: [u8; 32], now: Timestamp) -> Result<Option<Found>, StoreError> {
        let at = Instant::now();
        let row = self.store.access_token_with(digest).await?;
        let found = row.map(|row| Found {
            token: Arc::new(self.token(&row)),
            row: Arc::new(row),
        });
        if let Some(Found { row, .. }) = &found
            && row.accepts(&digest, now)
            && row.used_at.is_none_or(|used| used + USE_PRECISION < now)
        {
            self.record_use(&row.name, now).await;
        }
        let mut known = self.known();
        if known.len() >= MOST_SECRETS {
            known.clear();
        }
        let entry = Known {
            at,
            found: found.clone(),
        };
        known.insert(digest, entry);
        drop(known);
        Ok(found)
    }

    /// A failure is no reason to refuse the request.
    async fn record_use(&self, name: &str, now: Timestamp) {
        if let Err(error) = self.store.access_token_used(name, now).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the use of a token cannot be recorded"
            );
        }
    }

    /// The rights of a token. What this version does not know gives no right.
    fn token(&self, row: &AccessToken) -> Token {
        let reads = row
            .reads
            .iter()
            .filter_map(|scope| scope.parse::<ReadScope>().ok());
        let sources: Vec<_> = row.sources.iter().filter_map(|text| text.parse().ok()).collect();
        Token::of_role(&row.name, &row.person, row.role)
            .with_more_reads(reads)
            .with_sources(sources)
            .with_limits(row.limits.clone())
            .with_source_owners(Arc::clone(&self.owners))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use lockstep_protocol::Role;

    use super::*;
    use crate::fake_access::access_token;
    use crate::fakes::FakeStore;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_token_is_refused_after_some_seconds_and_at_once_where_it_was_revoked() {
        let store = Arc::new(FakeStore::default());
        let secret = secret::new_token();
        let row = access_token("ci", "alice", Role::Operator, &secret);
        store.access.tokens.lock().unwrap().push(row);
        let tokens = StoredTokens::new(store.clone(), Arc::default());
        let holder = tokens.holder(&secret, at(1000)).await.unwrap().unwrap();
        assert_eq!((holder.name(), holder.principal()), ("ci", "alice"));
        assert_eq!(store.access.tokens.lock().unwrap()[0].used_at, Some(at(1000)));

        store.access.tokens.lock().unwrap()[0].revoked_at = Some(at(1000));
        assert!(tokens.holder(&secret, at(1000)).await.unwrap().is_some());
        tokio::time::advance(COUNTS_FOR).await;
        assert!(tokens.holder(&secret, at(1005)).await.unwrap().is_none());

        store.access.tokens.lock().unwrap()[0].revoked_at = None;
        tokens.forget();
        assert!(tokens.holder(&secret, at(1005)).await.unwrap().is_some());
        assert!(tokens.named("ci", at(1005)).await.unwrap().is_some());
        assert!(tokens.named("other", at(1005)).await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_counts_at_once_and_unknown_secrets_are_looked_up_once() {
        let store = Arc::new(FakeStore::default());
        let secret = secret::new_token();
        let mut row = access_token("ci", "alice", Role::Operator, &secret);
        row.expires_at = Some(at(1001));
        store.access.tokens.lock().unwrap().push(row);
        let tokens = StoredTokens::new(store.clone(), Arc::default());
        assert!(tokens.holder(&secret, at(1000)).await.unwrap().is_some());
        assert!(tokens.holder(&secret, at(1001)).await.unwrap().is_none());

        let unknown = secret::new_token();
        let reads = || store.access.reads.load(Ordering::SeqCst);
        let before = reads();
        for text in [&unknown, &unknown, "s3cret", "lockstep_"] {
            assert!(tokens.holder(text, at(1000)).await.unwrap().is_none());
        }
        assert_eq!(reads(), before + 1);
    }
}
