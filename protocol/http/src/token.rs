use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use lockstep_protocol::TypePattern;

use crate::ProblemResponse;

/// A bearer token. Only the digest of the secret is kept.
#[derive(Clone)]
pub struct Token {
    name: String,
    digest: [u8; 32],
    types: Vec<TypePattern>,
}

/// The tokens of a server. Without any, every request is refused.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Arc<Token>>);

impl Token {
    /// Creates a token. Its name becomes the `actor` of the messages published with it.
    pub fn new(name: impl Into<String>, secret: &SecretString, types: Vec<TypePattern>) -> Self {
        Self {
            name: name.into(),
            digest: Sha256::digest(secret.expose_secret()).into(),
            types,
        }
    }

    /// The token's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether messages of this type may be published with the token.
    pub fn allows(&self, kind: &str) -> bool {
        self.types.iter().any(|pattern| pattern.allows(kind))
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
        Self(tokens.into_iter().map(Arc::new).collect())
    }
}

impl Tokens {
    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
#[derive(Debug)]
pub struct Operator(Arc<Token>);

/// The state of a server with tokens.
pub trait KnowsTokens: Send + Sync + 'static {
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
        let Some(token) = bearer(parts).and_then(|secret| server.tokens().holder(secret)) else {
            return Err(ProblemResponse::unauthorized());
        };
        tracing::Span::current().record("actor", token.name());
        Ok(Self(token))
    }
}

/// The secret in the `Authorization: Bearer` header; `None` if the header occurs more than once.
fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
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
}
