use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use lockstep_protocol::authority::{self, Denial, Principal, SourceOwners};
use lockstep_protocol::{Class, Kind, Source, SourcePattern, TypePattern};

use crate::{ProblemResponse, ReadScope};

/// A bearer token. Only the digest of the secret is kept.
#[derive(Clone)]
pub struct Token {
    name: String,
    digest: [u8; 32],
    types: Vec<TypePattern>,
    sources: Vec<SourcePattern>,
    reads: BTreeSet<ReadScope>,
    /// The sources of all tokens of the server.
    owners: Arc<SourceOwners>,
}

/// The tokens of a server. Without any, every request is refused.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Arc<Token>>);

impl Token {
    /// Creates a token. Its name becomes the `actor` of the messages published with it.
    ///
    /// A token that publishes only events reads nothing but the outcomes of its own messages; other tokens read everything. See
    /// [`Token::with_reads`].
    pub fn new(name: impl Into<String>, secret: &SecretString, types: Vec<TypePattern>) -> Self {
        let mut commands = Kind::ALL.iter().filter(|kind| kind.class() == Class::Command);
        let operates = commands.any(|kind| types.iter().any(|types| types.allows(kind.as_str())));
        let reads: &[ReadScope] = if operates || types.is_empty() {
            ReadScope::ALL
        } else {
            &[]
        };
        Self {
            name: name.into(),
            digest: Sha256::digest(secret.expose_secret()).into(),
            types,
            sources: Vec::new(),
            reads: reads.iter().copied().collect(),
            owners: Arc::default(),
        }
    }

    /// Sets what the token may read.
    #[must_use]
    pub fn with_reads(mut self, reads: impl IntoIterator<Item = ReadScope>) -> Self {
        self.reads = reads.into_iter().collect();
        self
    }

    /// Sets the sources that belong to the token: it may use only these, and no other token may use them.
    #[must_use]
    pub fn with_sources(mut self, sources: Vec<SourcePattern>) -> Self {
        self.sources = sources;
        self
    }

    /// The token's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether messages of this type may be published with the token.
    pub fn allows(&self, kind: &str) -> bool {
        self.types.iter().any(|pattern| pattern.allows(kind))
    }

    /// Whether a message of this type with this source may be published with the token.
    ///
    /// # Errors
    /// Why not.
    pub fn authorize(&self, kind: Kind, source: &Source) -> Result<(), Denial> {
        let principal = Principal::Token {
            name: &self.name,
            types: &self.types,
        };
        authority::authorize(principal, kind, source, &self.owners)
    }

    /// Whether the token may read this.
    ///
    /// # Errors
    /// The problem to respond with.
    pub fn may_read(&self, scope: ReadScope) -> Result<(), ProblemResponse> {
        if self.reads.contains(&scope) {
            Ok(())
        } else {
            Err(ProblemResponse::may_not_read(scope))
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}

impl FromIterator<Token> for Tokens {
    fn from_iter<I: IntoIterator<Item = Token>>(tokens: I) -> Self {
        let tokens: Vec<Token> = tokens.into_iter().collect();
        let sources = tokens
            .iter()
            .map(|token| (token.name.clone(), token.sources.clone()));
        let owners: Arc<SourceOwners> = Arc::new(sources.collect());
        let with_owners = |mut token: Token| {
            token.owners = Arc::clone(&owners);
            Arc::new(token)
        };
        Self(tokens.into_iter().map(with_owners).collect())
    }
}

impl Tokens {
    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sender of a request with this value of `Authorization`: `Bearer` and the secret. `None` if no token has the secret.
    pub fn sender(&self, authorization: &str) -> Option<Operator> {
        let (scheme, secret) = authorization.split_once(' ')?;
        let secret = secret.trim();
        let bearer = scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty();
        let token = bearer.then(|| self.holder(secret))??;
        tracing::Span::current().record("actor", token.name());
        Some(Operator(token))
    }

    /// Finds the token with this secret. Compares all digests, each in constant time, so that the duration reveals nothing
    /// about the secrets.
    fn holder(&self, secret: &str) -> Option<Arc<Token>> {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let mut holder = None;
        for token in &self.0 {
            if bool::from(token.digest.ct_eq(&digest)) {
                holder = Some(Arc::clone(token));
            }
        }
        holder
    }
}

/// The authenticated sender of a request.
#[derive(Clone, Debug)]
pub struct Operator(Arc<Token>);

/// The state of a server with tokens.
pub trait KnowsTokens: Send + Sync + 'static {
    /// Which tokens the server accepts: where the configuration has them, in words for those who sent another.
    const ACCEPTED: &'static str;

    /// The tokens of the server.
    fn tokens(&self) -> &Tokens;
}

impl std::ops::Deref for Operator {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.0
    }
}

impl<S: KnowsTokens> FromRequestParts<Arc<S>> for Operator {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<S>) -> Result<Self, ProblemResponse> {
        authorization(parts)
            .and_then(|authorization| server.tokens().sender(authorization))
            .ok_or_else(|| ProblemResponse::unauthorized(S::ACCEPTED))
    }
}

/// The `Authorization` header; `None` if it occurs more than once.
fn authorization(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_finds_its_token_and_is_never_printed() {
        let token = |name: &str, secret: &str| Token::new(name, &secret.into(), vec![TypePattern::ALL]);
        let tokens: Tokens = [token("alice", "s3cret"), token("bob", "other")]
            .into_iter()
            .collect();
        assert_eq!(tokens.holder("s3cret").unwrap().name(), "alice");
        assert_eq!(tokens.holder("other").unwrap().name(), "bob");
        for wrong in ["", "s3cre", "s3cret ", "S3CRET"] {
            assert!(tokens.holder(wrong).is_none(), "{wrong:?}");
        }
        assert!(Tokens::default().holder("").is_none());
        assert!(!format!("{tokens:?}").contains("s3cret"));
    }

    #[test]
    fn a_token_of_events_reads_nothing_of_others_unless_it_is_said() {
        let token = |types: &[&str]| {
            let types = types.iter().map(|types| types.parse().unwrap()).collect();
            Token::new("x", &"s3cret".into(), types)
        };
        let events = ["lockstep.interface.updated", "lockstep.linknet.*"];
        for (token, reads) in [
            (token(&events), false),
            (token(&["*"]), true),
            (token(&["lockstep.device.*"]), true),
            (token(&[]), true),
            (token(&events).with_reads([ReadScope::Devices]), true),
            (token(&["*"]).with_reads([ReadScope::Messages]), false),
        ] {
            assert_eq!(token.may_read(ReadScope::Devices).is_ok(), reads, "{token:?}");
        }
    }

    #[test]
    fn a_source_that_belongs_to_a_token_is_refused_to_the_others() {
        let token = |name: &str| Token::new(name, &name.into(), vec![TypePattern::ALL]);
        let owned = vec!["urn:example:netbox".parse().unwrap()];
        let tokens: Tokens = [token("netbox").with_sources(owned), token("other")]
            .into_iter()
            .collect();
        let source = |text: &str| Source::try_from(text.to_owned()).unwrap();
        let table = [
            ("netbox", "urn:example:netbox", true),
            ("netbox", "urn:example:else", false),
            ("other", "urn:example:netbox", false),
            ("other", "urn:example:else", true),
            ("other", "urn:lockstep:worker", false),
            ("other", "/webhooks/github/settings", false),
        ];
        for (name, text, allowed) in table {
            let holder = tokens.holder(name).unwrap();
            let answer = holder.authorize(Kind::InterfaceUpdated, &source(text));
            assert_eq!(answer.is_ok(), allowed, "{name} {text}");
        }
    }
}
