use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use lockstep_http::{Operator, ProblemResponse};
use lockstep_protocol::AuditKind;
use lockstep_store::{LoginSession, NewAuditEntry, OidcLogin, OidcLoginOutcome, StoreError};
use subtle::ConstantTimeEq;

use super::account;
use super::attempt::{self, Attempt};
use super::callback::Callback;
use super::options::RoleMapping;
use super::provider::IdentityProvider;
use super::rejection::Rejection;
use crate::access::login::{self, next_path, redirect};
use crate::access::{Client, secret, session};
use crate::context::Shared;
use crate::rest::problem;
use crate::web;

/// `GET /login/oidc?next=PATH`: sends the browser to the provider.
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    client: Client,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ProblemResponse> {
    let provider = provider(&shared)?;
    let query = uri.query().unwrap_or_default();
    let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next");
    let next = next.map(|(_, next)| next.into_owned()).unwrap_or_default();
    let attempt = Attempt::new(shared.context.clock.now(), next_path(&next));
    match provider.metadata().await {
        Ok(metadata) => {
            let cookie = attempt.cookie(&provider.options.client_secret);
            let cookie = attempt::COOKIE.set(&headers, &cookie, attempt::LASTS);
            Ok(redirect(&provider.authorization(&metadata, &attempt), &cookie))
        }
        Err(error) => {
            let rejected = Rejected {
                subject: None,
                rejection: error.into(),
            };
            reject(&shared, &client, &headers, &rejected, &attempt.next).await
        }
    }
}

/// `GET /login/oidc/callback`: the provider sent the browser back. Begins a session, or says why not.
pub(crate) async fn complete(
    State(shared): State<Arc<Shared>>,
    client: Client,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ProblemResponse> {
    let provider = provider(&shared)?;
    let now = shared.context.clock.now();
    let attempt = attempt::COOKIE
        .of(&headers)
        .and_then(|cookie| Attempt::read(cookie, &provider.options.client_secret, now));
    let Some(attempt) = attempt else {
        let rejected = Rejected {
            subject: None,
            rejection: Rejection::NoAttempt,
        };
        return reject(&shared, &client, &headers, &rejected, "").await;
    };
    let query = uri.query().unwrap_or_default();
    match confirmed(&shared, provider, &attempt, query).await {
        Ok(confirmed) => {
            let id = begin_session(&shared, &client, confirmed).await?;
            let lasts = shared.context.access.longest_session;
            let cookie = session::COOKIE.set(&headers, &id, lasts);
            let mut response = redirect(next_path(&attempt.next), &cookie);
            remove_attempt(&headers, &mut response);
            Ok(response)
        }
        Err(NoSession::Rejected(rejected)) => {
            reject(&shared, &client, &headers, &rejected, &attempt.next).await
        }
        Err(NoSession::Problem(problem)) => Err(problem),
    }
}

/// Why no session begins.
enum NoSession {
    Rejected(Rejected),
    /// The store cannot be used.
    Problem(ProblemResponse),
}

/// A login that was rejected.
struct Rejected {
    /// Whose login it is, if the provider confirmed that.
    subject: Option<String>,
    rejection: Rejection,
}

impl Rejected {
    fn of(subject: &str, rejection: impl Into<Rejection>) -> NoSession {
        NoSession::Rejected(Self {
            subject: Some(subject.to_owned()),
            rejection: rejection.into(),
        })
    }
}

impl From<Rejection> for NoSession {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(Rejected {
            subject: None,
            rejection,
        })
    }
}

impl From<StoreError> for NoSession {
    fn from(error: StoreError) -> Self {
        Self::Problem(problem::store_error(error))
    }
}

/// A login that the provider confirmed, with what the account may do.
struct Confirmed<'a> {
    login: OidcLogin,
    mapping: &'a RoleMapping,
}

async fn confirmed<'a>(
    shared: &Shared,
    provider: &'a IdentityProvider,
    attempt: &Attempt,
    query: &str,
) -> Result<Confirmed<'a>, NoSession> {
    let code = code(provider, attempt, query).await?;
    let now = shared.context.clock.now();
    let claims = provider.exchange(attempt, &code, now).await?;
    let options = &provider.options;
    let principal = account::principal(&claims.all, &options.principal_claim)
        .map_err(|error| Rejected::of(&claims.subject, error))?;
    let mapping = account::mapping(&claims.all, &options.role_claim, &options.roles)
        .map_err(|error| Rejected::of(&principal, error))?;
    if !options.share_principals && is_of_token(shared, &principal).await? {
        let rejection = Rejection::TokenPrincipal(principal.clone());
        return Err(Rejected::of(&principal, rejection));
    }
    let login = OidcLogin {
        state: secret::digest(&attempt.state()),
        state_until: attempt.until,
        issuer: options.issuer.clone(),
        subject: claims.subject,
        principal,
        role: mapping.role,
        limits: mapping.limits.clone(),
        at: now,
        expires_at: now + shared.context.access.longest_session,
    };
    let principal = login.principal.clone();
    let rejection = match shared.context.oidc_logins.record_oidc_login(&login).await? {
        OidcLoginOutcome::Accepted => return Ok(Confirmed { login, mapping }),
        OidcLoginOutcome::StateUsed => Rejection::Repeated,
        OidcLoginOutcome::OtherPrincipal(known) => Rejection::OtherPrincipal {
            known,
            now: principal.clone(),
        },
        OidcLoginOutcome::OtherAccount => Rejection::OtherAccount(principal.clone()),
    };
    Err(Rejected::of(&principal, rejection))
}

/// Begins the session of a login, and returns its id.
async fn begin_session(
    shared: &Shared,
    client: &Client,
    Confirmed { login, mapping }: Confirmed<'_>,
) -> Result<String, ProblemResponse> {
    let session = LoginSession {
        // Set where the session begins.
        digest: [0; 32],
        principal: login.principal,
        token: None,
        role: Some(login.role),
        begun_at: login.at,
        used_at: login.at,
        expires_at: login.expires_at,
        address: None,
        reads: mapping.reads.iter().map(ToString::to_string).collect(),
        limits: login.limits,
    };
    let rights = account::rights(&session.principal, login.role, &session.reads, &session.limits);
    let entry = NewAuditEntry {
        detail: Some(format!("oidc: role {} for {:?}", login.role, mapping.value)),
        ..login::entry(AuditKind::Login, client.actor(&Operator::of(Arc::new(rights))))
    };
    login::begin_session(shared, session, entry).await
}

/// The code in an answer that belongs to this attempt.
async fn code(provider: &IdentityProvider, attempt: &Attempt, query: &str) -> Result<String, Rejection> {
    let callback = Callback::read(query).ok_or(Rejection::NoCode)?;
    let state = callback.state.unwrap_or_default();
    if !bool::from(state.as_bytes().ct_eq(attempt.state().as_bytes())) {
        return Err(Rejection::State);
    }
    if !provider.metadata().await?.sent(callback.iss.as_deref()) {
        return Err(Rejection::Issuer);
    }
    if let Some(error) = &callback.error {
        return Err(Rejection::refused(error, callback.error_description.as_deref()));
    }
    callback.code.ok_or(Rejection::NoCode)
}

/// Whether a token has this holder or, in the configuration, this name.
async fn is_of_token(shared: &Shared, principal: &str) -> Result<bool, StoreError> {
    if shared.context.tokens.knows(principal) {
        return Ok(true);
    }
    shared.context.access_tokens.has_access_token_of(principal).await
}

fn provider(shared: &Shared) -> Result<&IdentityProvider, ProblemResponse> {
    shared.provider.as_ref().ok_or_else(|| {
        ProblemResponse::not_found(
            "no-identity-provider",
            "there is no login at an identity provider",
            "the configuration of the console has no section console.oidc; log in with a token at /login",
        )
    })
}

/// The page of the login that says why there is no session, after the audit has it. The attempt is over.
async fn reject(
    shared: &Shared,
    client: &Client,
    headers: &HeaderMap,
    rejected: &Rejected,
    next: &str,
) -> Result<Response, ProblemResponse> {
    let rejection = &rejected.rejection;
    let entry = NewAuditEntry {
        subject: rejected.subject.clone(),
        detail: Some(format!("oidc: {rejection}")),
        ..login::entry(AuditKind::LoginFailed, client.nobody())
    };
    login::record_refused(shared, entry).await?;
    tracing::warn!(error = %rejection, "a login at the identity provider was refused");
    let problem = format!("{rejection} {}", rejection.advice());
    let provider = shared.provider.as_ref().map(IdentityProvider::name);
    let mut response = web::login_page(rejection.status(), Some(&problem), next_path(next), provider);
    remove_attempt(headers, &mut response);
    Ok(response)
}

fn remove_attempt(headers: &HeaderMap, response: &mut Response) {
    let removed = attempt::COOKIE.set(headers, "", Duration::ZERO);
    login::append_cookie(response, &removed);
}
