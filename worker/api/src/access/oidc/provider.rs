use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::id_token::{Claims, Expected, IdTokenError, Unverified};
use super::keys::{Keys, SignatureError};
use super::metadata::{self, ClientAuthentication, Metadata, MetadataError};
use super::options::OidcOptions;
use super::rejection::Rejection;

/// How long the metadata and the keys of a provider count. A key that it withdraws is refused after this time.
const COUNTS_FOR: Duration = Duration::from_hours(1);
/// The shortest time between two requests for keys because of unknown ones, which anybody who can log in could cause.
const BETWEEN_KEYS: Duration = Duration::from_secs(30);

/// Sends requests to an identity provider. An answer is bounded in time and bytes, and redirects are not followed.
#[async_trait]
pub trait ProviderHttp: Debug + Send + Sync + 'static {
    /// Sends a GET request to this address, or a POST request with a form.
    ///
    /// # Errors
    /// See [`ProviderHttpError`].
    async fn send(
        &self,
        address: &str,
        form: Option<ProviderForm>,
    ) -> Result<ProviderAnswer, ProviderHttpError>;
}

/// A form for the provider. It has secrets.
#[derive(Clone)]
pub struct ProviderForm {
    /// The fields in the encoding of forms.
    pub body: SecretString,
    /// The value of `Authorization`.
    pub authorization: Option<SecretString>,
}

impl Debug for ProviderForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderForm").finish_non_exhaustive()
    }
}

/// What the provider answered.
#[derive(Clone, Debug)]
pub struct ProviderAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer. The text completes "the provider …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderHttpError {
    /// It took too long.
    #[error("does not answer in time")]
    TimedOut,
    /// The body is too large.
    #[error("answers with more than {0} bytes")]
    TooLarge(usize),
    /// There is no connection, or it ended.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
}

/// Why the provider is of no use now.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    #[error("the identity provider {0}")]
    Unavailable(String),
    #[error("the metadata of the identity provider cannot be used: {0}")]
    Metadata(#[from] MetadataError),
    #[error("the identity provider refused the code, which counts once and for a short time")]
    Code,
    #[error("the identity provider refused the console: {0}")]
    Client(String),
    #[error("the identity provider answered {0}")]
    Answer(String),
}

impl ProviderError {
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "Try again later, or log in with a token.",
            Self::Code => "Begin again.",
            Self::Metadata(_) | Self::Client(_) | Self::Answer(_) => {
                "Log in with a token. An administrator compares the section console.oidc with the provider; `lockstep doctor --role console` helps."
            }
        }
    }
}

/// An identity provider, with what it said.
#[derive(Debug)]
pub(crate) struct IdentityProvider {
    pub(super) options: OidcOptions,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    metadata: Option<(Instant, Arc<Metadata>)>,
    keys: Option<(Instant, Arc<Keys>)>,
    /// When keys were asked for last, whether they came or not.
    asked: Option<Instant>,
}

/// The answer of the token endpoint.
#[derive(Default, Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
    error: Option<String>,
}

impl IdentityProvider {
    pub(crate) fn new(options: OidcOptions) -> Self {
        Self {
            options,
            known: Mutex::default(),
        }
    }

    /// What the page of the login calls the provider.
    pub(crate) fn name(&self) -> &str {
        &self.options.name
    }

    /// What the provider says about itself.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        if let Some((at, metadata)) = &self.known().metadata
            && at.elapsed() < COUNTS_FOR
        {
            return Ok(Arc::clone(metadata));
        }
        let address = format!("{}{}", self.options.issuer.trim_end_matches('/'), metadata::PATH);
        let body = self.get(&address).await?;
        let metadata = Arc::new(Metadata::read(&body, &self.options.issuer)?);
        self.known().metadata = Some((Instant::now(), Arc::clone(&metadata)));
        Ok(metadata)
    }

    /// The address of the provider to which a browser goes for a login.
    pub(super) fn authorization(&self, metadata: &Metadata, attempt: &Attempt) -> String {
        let scopes = self.options.scopes.iter().map(String::as_str);
        let scopes: Vec<&str> = std::iter::once("openid")
            .chain(scopes.filter(|scope| *scope != "openid"))
            .collect();
        with_query(
            &metadata.authorization_endpoint,
            &[
                ("response_type", "code"),
                ("client_id", &self.options.client_id),
                ("redirect_uri", &self.options.redirect_uri),
                ("scope", &scopes.join(" ")),
                ("state", &attempt.state()),
                ("nonce", &attempt.nonce()),
                ("code_challenge", &attempt.challenge()),
                ("code_challenge_method", "S256"),
            ],
        )
    }

    /// The address of the provider at which a browser logs out there, if it has one.
    pub(crate) async fn end_session(&self) -> Option<String> {
        let metadata = self.metadata().await.ok()?;
        let address = metadata.end_session_endpoint.as_deref()?;
        Some(with_query(address, &[("client_id", &self.options.client_id)]))
    }

    /// Exchanges a code for what the provider says about the account.
    ///
    /// # Errors
    /// See [`Rejection`].
    pub(super) async fn exchange(
        &self,
        attempt: &Attempt,
        code: &str,
        now: Timestamp,
    ) -> Result<Claims, Rejection> {
        let metadata = self.metadata().await?;
        let form = self.form(metadata.client_authentication()?, attempt, code);
        let answer = self.options.http.send(&metadata.token_endpoint, Some(form)).await;
        let answer = answer.map_err(ProviderError::from)?;
        let token = id_token(&answer)?;
        let token = Unverified::read(&token, &self.options.algorithms)?;
        self.check_signature(&metadata, &token).await?;
        let claims = token.claims(Expected {
            issuer: &self.options.issuer,
            client_id: &self.options.client_id,
            nonce: &attempt.nonce(),
            now,
        })?;
        Ok(claims)
    }

    fn form(&self, authentication: ClientAuthentication, attempt: &Attempt, code: &str) -> ProviderForm {
        let (id, secret) = (
            &self.options.client_id,
            self.options.client_secret.expose_secret(),
        );
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.options.redirect_uri.as_str()),
        ];
        let verifier = attempt.verifier();
        fields.push(("code_verifier", &verifier));
        let authorization = match authentication {
            ClientAuthentication::Basic => {
                let encoded =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
                Some(format!("Basic {pair}").into())
            }
            ClientAuthentication::Post => {
                fields.extend([("client_id", id.as_str()), ("client_secret", secret)]);
                None
            }
        };
        ProviderForm {
            body: encoded(&fields).into(),
            authorization,
        }
    }

    /// Checks who signed a token. Asks the provider for its keys if the key is unknown, unless it was asked a moment ago.
    async fn check_signature(&self, metadata: &Metadata, token: &Unverified<'_>) -> Result<(), Rejection> {
        let verify = |keys: &Keys| {
            keys.verify(
                token.algorithm,
                token.key.as_deref(),
                token.message,
                &token.signature,
            )
        };
        let remembered = self.remembered_keys();
        let mut verified = match remembered {
            Some(keys) => verify(&keys),
            None => Err(SignatureError::UnknownKey),
        };
        if verified == Err(SignatureError::UnknownKey) && self.may_ask() {
            let keys = self.read_keys(metadata).await?;
            verified = verify(&keys);
            self.known().keys = Some((Instant::now(), Arc::new(keys)));
        }
        verified.map_err(|error| {
            Rejection::IdToken(match error {
                SignatureError::UnknownKey => IdTokenError::UnknownKey,
                SignatureError::Invalid => IdTokenError::Signature,
            })
        })
    }

    /// The keys that the provider publishes now.
    ///
    /// # Errors
    /// See [`ProviderError`].
    pub(super) async fn read_keys(&self, metadata: &Metadata) -> Result<Keys, ProviderError> {
        let body = self.get(&metadata.jwks_uri).await?;
        Keys::read(&body).map_err(|error| ProviderError::Answer(format!("with no set of keys: {error}")))
    }

    fn remembered_keys(&self) -> Option<Arc<Keys>> {
        let known = self.known();
        let (at, keys) = known.keys.as_ref()?;
        (at.elapsed() < COUNTS_FOR).then(|| Arc::clone(keys))
    }

    /// Whether keys may be asked for now. Without any that count, they may.
    fn may_ask(&self) -> bool {
        let mut known = self.known();
        let none = known
            .keys
            .as_ref()
            .is_none_or(|(at, _)| at.elapsed() >= COUNTS_FOR);
        let rested = known.asked.is_none_or(|at| at.elapsed() >= BETWEEN_KEYS);
        if none || rested {
            known.asked = Some(Instant::now());
        }
        none || rested
    }

    async fn get(&self, address: &str) -> Result<Vec<u8>, ProviderError> {
        let answer = self.options.http.send(address, None).await?;
        match answer.status {
            200 => Ok(answer.body),
            500.. => Err(ProviderError::Unavailable(format!("answers {}", answer.status))),
            status => Err(ProviderError::Answer(format!("{status} to {address}"))),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<ProviderHttpError> for ProviderError {
    fn from(error: ProviderHttpError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The ID token in the answer of the token endpoint.
fn id_token(answer: &ProviderAnswer) -> Result<String, ProviderError> {
    let status = answer.status;
    if status >= 500 {
        return Err(ProviderError::Unavailable(format!("answers {status}")));
    }
    let body: TokenAnswer = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (status, body.error.as_deref(), body.id_token) {
        (200, _, Some(token)) => Ok(token),
        (200, ..) => Err(ProviderError::Answer("without an ID token".to_owned())),
        (_, Some("invalid_grant"), _) => Err(ProviderError::Code),
        (400 | 401, Some("invalid_client" | "unauthorized_client"), _) | (401, ..) => {
            Err(ProviderError::Client(
                "compare console.oidc.client_id and client_secret with the provider".to_owned(),
            ))
        }
        _ => Err(ProviderError::Answer(format!("{status} to the code"))),
    }
}

/// An address with more parameters in its query.
fn with_query(address: &str, fields: &[(&str, &str)]) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{}", encoded(fields))
}

fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}
