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
use lockstep_protocol::{AccessLimits, Class, Envelope, Kind, Role, Source, SourcePattern, TypePattern};

use crate::{ProblemResponse, ReadScope};

/// The rights of a sender: those of a bearer token, or of a session. Only the digest of a secret is kept.
#[derive(Clone)]
pub struct Token {
    name: String,
    /// The person or the service that it belongs to, if that is not its name.
    person: Option<String>,
    /// `None` where the secret is known elsewhere.
    digest: Option<[u8; 32]>,
    role: Option<Role>,
    types: Vec<TypePattern>,
    sources: Vec<SourcePattern>,
    reads: BTreeSet<ReadScope>,
    limits: AccessLimits,
    /// The sources of all tokens of the server.
    owners: Arc<SourceOwners>,
}

/// Whether a text can be the name of a token, or of the person that it belongs to: 1 to 64 letters, digits, dots, hyphens, underscores
/// or @.
pub fn is_token_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

/// The tokens of a server. Without any, every request is refused.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Arc<Token>>);

impl Token {
    /// Creates a token. Its name becomes the `actor` of the messages published with it.
    ///
    /// A token that publishes only events reads nothing but the outcomes of its own messages; other tokens read everything but the audit.
    /// See [`Token::with_reads`].
    pub fn new(name: impl Into<String>, secret: &SecretString, types: Vec<TypePattern>) -> Self {
        let mut commands = Kind::ALL.iter().filter(|kind| kind.class() == Class::Command);
        let operates = commands.any(|kind| types.iter().any(|types| types.allows(kind.as_str())));
        let reads: &[ReadScope] = if operates || types.is_empty() {
            ReadScope::USUAL
        } else {
            &[]
        };
        Self {
            name: name.into(),
            person: None,
            digest: Some(Sha256::digest(secret.expose_secret()).into()),
            role: None,
            types,
            sources: Vec::new(),
            reads: reads.iter().copied().collect(),
            limits: AccessLimits::default(),
            owners: Arc::default(),
        }
    }

    /// The rights of a role, for a holder that was authenticated elsewhere: by a token of the store, or a login.
    pub fn of_role(name: impl Into<String>, person: impl Into<String>, role: Role) -> Self {
        Self {
            name: name.into(),
            person: Some(person.into()),
            digest: None,
            role: Some(role),
            types: vec![TypePattern::ALL],
            sources: Vec::new(),
            reads: ReadScope::of_role(role).iter().copied().collect(),
            limits: AccessLimits::default(),
            owners: Arc::default(),
        }
    }

    /// Sets the person or the service that the token belongs to, which becomes the `actor` instead of its name.
    #[must_use]
    pub fn with_person(mut self, person: Option<String>) -> Self {
        self.person = person;
        self
    }

    /// Sets the role. It bounds what the token may publish, and replaces what it may read.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self.reads = ReadScope::of_role(role).iter().copied().collect();
        self
    }

    /// Sets what commands are limited to.
    #[must_use]
    pub fn with_limits(mut self, limits: AccessLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds to what the token may read.
    #[must_use]
    pub fn with_more_reads(mut self, reads: impl IntoIterator<Item = ReadScope>) -> Self {
        self.reads.extend(reads);
        self
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

    /// Sets the sources that belong to other tokens, which this one may not use.
    #[must_use]
    pub fn with_source_owners(mut self, owners: Arc<SourceOwners>) -> Self {
        self.owners = owners;
        self
    }

    /// The token's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who sends with it: the `actor` of messages. The tokens of one person are one principal.
    pub fn principal(&self) -> &str {
        self.person.as_deref().unwrap_or(&self.name)
    }

    /// The role, if it has one.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// What commands are limited to.
    pub fn limits(&self) -> &AccessLimits {
        &self.limits
    }

    /// The sources that belong to it; none if it may use every source that belongs to nobody.
    pub fn sources(&self) -> impl Iterator<Item = &SourcePattern> + '_ {
        self.sources.iter()
    }

    /// What it may read.
    pub fn reads(&self) -> impl Iterator<Item = ReadScope> + '_ {
        self.reads.iter().copied()
    }

    /// Whether messages of this type may be published with the token.
    pub fn allows(&self, kind: &str) -> bool {
        let within_role = match (self.role, kind.parse::<Kind>()) {
            (Some(role), Ok(kind)) => role.publishes(kind),
            // Whoever may publish something is told that the type is unknown.
            (Some(role), Err(_)) => Kind::ALL.iter().any(|kind| role.publishes(*kind)),
            (None, _) => true,
        };
        within_role && self.types.iter().any(|pattern| pattern.allows(kind))
    }

    /// Whether a message may be published with the token: its type, its source, and what it concerns.
    ///
    /// # Errors
    /// Why not.
    pub fn permit(&self, envelope: &Envelope) -> Result<(), Denial> {
        self.authorize(envelope.message.kind(), &envelope.identity.source)?;
        self.limits.permit(&envelope.message)
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
        authority::authorize(principal, kind, source, &self.owners)?;
        if let Some(role) = self.role.filter(|role| !role.publishes(kind)) {
            return Err(Denial {
                place: "$.type",
                reason: format!(
                    "the token {} has the role {role}, which may not publish {kind}",
                    self.name
                ),
            });
        }
        // Those of configured tokens are among the owners.
        let owned = self.digest.is_some() || self.sources.is_empty();
        if !owned && !self.sources.iter().any(|pattern| pattern.matches(source)) {
            return Err(Denial {
                place: "$.source",
                reason: format!(
                    "{source} is not among the sources of the token {}; use one of these",
                    self.name
                ),
            });
        }
        Ok(())
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
            .field("person", &self.person)
            .field("role", &self.role)
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

    /// The token with this name.
    pub fn named(&self, name: &str) -> Option<Arc<Token>> {
        self.0.iter().find(|token| token.name == name).cloned()
    }

    /// Whether a token has this name, or belongs to this person or service.
    pub fn knows(&self, name: &str) -> bool {
        let has = |token: &Arc<Token>| token.name == name || token.principal() == name;
        self.0.iter().any(has)
    }

    /// The sources that belong to the tokens.
    pub fn source_owners(&self) -> Arc<SourceOwners> {
        self.0
            .first()
            .map(|token| Arc::clone(&token.owners))
            .unwrap_or_default()
    }

    /// Finds the token with this secret. Compares all digests, each in constant time, so that the duration reveals nothing
    /// about the secrets.
    pub fn holder(&self, secret: &str) -> Option<Arc<Token>> {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let mut holder = None;
        for token in &self.0 {
            if token.digest.is_some_and(|own| bool::from(own.ct_eq(&digest))) {
                holder = Some(Arc::clone(token));
            }
        }
        holder
    }
}

/// The authenticated sender of a request.
#[derive(Clone, Debug)]
pub struct Operator(Arc<Token>);

impl Operator {
    /// The sender with these rights, who was authenticated. The span of the request names the principal.
    pub fn of(token: Arc<Token>) -> Self {
        tracing::Span::current().record("actor", token.principal());
        Self(token)
    }
}

/// The state of a server with tokens.
pub trait KnowsTokens: Send + Sync + 'static {
    /// Which tokens the server accepts: where the configuration has them, in words for those who sent another.
    const ACCEPTED: &'static str;

    /// The configured tokens of the server.
    fn tokens(&self) -> &Tokens;

    /// The sender with this secret, which no configured token has.
    ///
    /// # Errors
    /// The problem to respond with, if it cannot be found out now.
    fn stored(&self, secret: &str) -> impl Future<Output = Result<Option<Operator>, ProblemResponse>> + Send {
        let _ = secret;
        std::future::ready(Ok(None))
    }

    /// The sender of a request that has no header `Authorization`, such as one of a browser with a session.
    ///
    /// # Errors
    /// The problem to respond with, if there is a session and the request is refused, or if it cannot be found out now.
    fn session(
        &self,
        parts: &Parts,
    ) -> impl Future<Output = Result<Option<Operator>, ProblemResponse>> + Send {
        let _ = parts;
        std::future::ready(Ok(None))
    }

    /// The sender with this secret. `None` if no token has it.
    ///
    /// # Errors
    /// The problem to respond with, if it cannot be found out now.
    fn holder(&self, secret: &str) -> impl Future<Output = Result<Option<Operator>, ProblemResponse>> + Send {
        async move {
            match self.tokens().holder(secret) {
                Some(token) => Ok(Some(Operator::of(token))),
                None => self.stored(secret).await,
            }
        }
    }

    /// The sender of a request with this value of `Authorization`: `Bearer` and the secret. `None` if no token has the secret.
    ///
    /// # Errors
    /// The problem to respond with, if it cannot be found out now.
    fn sender(
        &self,
        authorization: &str,
    ) -> impl Future<Output = Result<Option<Operator>, ProblemResponse>> + Send {
        async move {
            match bearer(authorization) {
                Some(secret) => self.holder(secret).await,
                None => Ok(None),
            }
        }
    }
}

/// The secret in a value of `Authorization`.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, secret) = authorization.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
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
        let sender = if parts.headers.contains_key(AUTHORIZATION) {
            match authorization(parts) {
                Some(authorization) => server.sender(authorization).await?,
                None => None,
            }
        } else {
            server.session(parts).await?
        };
        sender.ok_or_else(|| ProblemResponse::unauthorized(S::ACCEPTED))
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
    fn a_role_bounds_what_a_token_publishes_and_a_person_is_the_principal() {
        let token = |types: &str| Token::new("ci", &"s3cret".into(), vec![types.parse().unwrap()]);
        let (event, command) = (Kind::InterfaceUpdated, Kind::SyncRequested);
        let source = Source::try_from("urn:example:a".to_owned()).unwrap();
        for (token, principal, publishes) in [
            (token("*"), "ci", [true, true]),
            (token("*").with_role(Role::Viewer), "ci", [false, false]),
            (
                token("lockstep.interface.*").with_role(Role::Operator),
                "ci",
                [true, false],
            ),
            (
                token("*").with_person(Some("alice".to_owned())),
                "alice",
                [true, true],
            ),
            (Token::of_role("ci", "bob", Role::Admin), "bob", [true, true]),
        ] {
            let found = [event, command].map(|kind| token.authorize(kind, &source).is_ok());
            assert_eq!((token.principal(), found), (principal, publishes), "{token:?}");
            let allowed = [event, command].map(|kind| token.allows(kind.as_str()));
            assert_eq!(allowed, publishes, "{token:?}");
        }
    }

    #[test]
    fn a_token_of_the_store_uses_its_sources_and_none_of_configured_tokens() {
        let configured = Token::new("netbox", &"s3cret".into(), vec![TypePattern::ALL])
            .with_sources(vec!["urn:example:netbox".parse().unwrap()]);
        let tokens: Tokens = [configured].into_iter().collect();
        let stored = |sources: Vec<SourcePattern>| {
            Token::of_role("ci", "ci", Role::Operator)
                .with_sources(sources)
                .with_source_owners(tokens.source_owners())
        };
        let own = vec!["urn:example:ci".parse().unwrap()];
        for (token, text, allowed) in [
            (stored(own.clone()), "urn:example:ci", true),
            (stored(own), "urn:example:else", false),
            (stored(Vec::new()), "urn:example:else", true),
            (stored(Vec::new()), "urn:example:netbox", false),
        ] {
            let source = Source::try_from(text.to_owned()).unwrap();
            let answer = token.authorize(Kind::InterfaceUpdated, &source);
            assert_eq!(answer.is_ok(), allowed, "{text}");
        }
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
