use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use lockstep_http::{Operator, ProblemResponse, Token};
use lockstep_protocol::rest::{
    Problem, TokenPage, TokenRequest, TokenRevocation, TokenRotation, TokenSecret, TokenView,
};
use lockstep_protocol::{AuditKind, Role};
use lockstep_store::{AccessToken, NewAccessToken, NewAuditEntry, Rotation};
use serde::de::DeserializeOwned;

use super::parameters::{self, Parameters};
use super::problem;
use super::token_request::{self, Checked};
use crate::access::{Client, secret};
use crate::context::Shared;

/// The most bytes of a body.
const LONGEST_BODY: usize = 64 * 1024;
/// How long the former secret of a token is accepted, if the request does not say.
const DEFAULT_GRACE: Duration = Duration::from_hours(24);

/// `GET /v1/tokens`: one page of stored tokens, ordered by name.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<TokenPage>, ProblemResponse> {
    check_manages(&operator)?;
    let after = parameters.text("after")?;
    let limit = parameters.limit()?;
    parameters.finish("after, limit")?;
    // One more than requested shows whether there is a next page.
    let rows = shared
        .context
        .access_tokens
        .access_tokens(after.as_deref(), limit + 1)
        .await;
    let mut rows = rows.map_err(problem::store_error)?;
    let next = parameters::cut(&mut rows, limit, |token| token.name.clone());
    let now = shared.context.clock.now();
    Ok(Json(TokenPage {
        tokens: rows.into_iter().map(|row| view(row, now)).collect(),
        next,
    }))
}

/// `GET /v1/tokens/{name}`: one stored token.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<TokenView>, ProblemResponse> {
    check_manages(&operator)?;
    let name = parameters::segment(name)?;
    let row = named(&shared, &name).await?;
    Ok(Json(view(row, shared.context.clock.now())))
}

/// `POST /v1/tokens`: creates a token, and returns its secret this once.
pub(crate) async fn create(
    operator: Operator,
    client: Client,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<(StatusCode, Json<TokenSecret>), ProblemResponse> {
    check_manages(&operator)?;
    let request: TokenRequest = read(&shared, request, "a token").await?;
    let client = client.with_reason(request.reason.as_deref());
    let reason = client.reason()?.map(str::to_owned);
    if request.role == Role::Admin && reason.is_none() {
        return Err(Problem::new(
            400,
            "reason-required",
            "a token with the role admin needs a reason",
        )
        .with_detail("say why it is created: with `--reason`, or in `reason`")
        .with_place("$.reason")
        .into());
    }
    let checked = token_request::check(request, &operator)?;
    if shared.context.tokens.named(&checked.name).is_some() || stored(&shared, &checked.name).await?.is_some()
    {
        return Err(name_taken(&checked.name));
    }
    let now = shared.context.clock.now();
    let text = secret::new_token();
    let token = new_token(checked, &operator, &text, now);
    let entry = NewAuditEntry {
        detail: Some(format!("role {}, for {}", token.role, token.person)),
        reason,
        ..entry(AuditKind::TokenCreated, &client, &operator, &token.name)
    };
    shared.audit(&[entry]).await?;
    let created = shared.context.access_tokens.create_access_token(&token).await;
    if !created.map_err(problem::store_error)? {
        return Err(name_taken(&token.name));
    }
    let token = named(&shared, &token.name).await?;
    let answer = TokenSecret {
        secret: text,
        token: view(token, now),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `POST /v1/tokens/{name}/rotate`: gives a token a new secret, and returns it this once.
pub(crate) async fn rotate(
    operator: Operator,
    client: Client,
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<TokenSecret>, ProblemResponse> {
    check_manages(&operator)?;
    let request: TokenRotation = read(&shared, request, "a token").await?;
    let client = client.with_reason(request.reason.as_deref());
    let reason = client.reason()?.map(str::to_owned);
    let grace = token_request::seconds(request.grace_seconds, "grace_seconds")?;
    let lasts = token_request::seconds(request.expires_in_seconds, "expires_in_seconds")?;
    let row = named(&shared, &parameters::segment(name)?).await?;
    token_request::check_rights(&row, &operator)?;
    let now = shared.context.clock.now();
    let text = secret::new_token();
    let rotation = Rotation {
        secret: secret::stored(&text),
        at: now,
        former_until: now + grace.unwrap_or(DEFAULT_GRACE),
        expires_at: lasts.map(|lasts| now + lasts),
    };
    let entry = NewAuditEntry {
        reason,
        ..entry(AuditKind::TokenRotated, &client, &operator, &row.name)
    };
    shared.audit(&[entry]).await?;
    let rotated = shared
        .context
        .access_tokens
        .rotate_access_token(&row.name, &rotation)
        .await;
    if !rotated.map_err(problem::store_error)? {
        return Err(revoked(&row.name));
    }
    shared.stored.forget();
    let token = named(&shared, &row.name).await?;
    Ok(Json(TokenSecret {
        secret: text,
        token: view(token, now),
    }))
}

/// `POST /v1/tokens/{name}/revoke`: revokes a token for good.
pub(crate) async fn revoke(
    operator: Operator,
    client: Client,
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<TokenView>, ProblemResponse> {
    check_manages(&operator)?;
    let request: TokenRevocation = read(&shared, request, "a token").await?;
    let client = client.with_reason(request.reason.as_deref());
    let reason = client.reason()?.map(str::to_owned);
    let row = named(&shared, &parameters::segment(name)?).await?;
    let now = shared.context.clock.now();
    let entry = NewAuditEntry {
        reason,
        ..entry(AuditKind::TokenRevoked, &client, &operator, &row.name)
    };
    shared.audit(&[entry]).await?;
    let revoked = shared
        .context
        .access_tokens
        .revoke_access_token(&row.name, now)
        .await;
    revoked.map_err(problem::store_error)?;
    shared.stored.forget();
    let token = named(&shared, &row.name).await?;
    Ok(Json(view(token, now)))
}

/// Checks that somebody may manage tokens and sessions.
///
/// # Errors
/// The problem to respond with.
pub(super) fn check_manages(operator: &Token) -> Result<(), ProblemResponse> {
    if operator.role().is_some_and(Role::manages_tokens) {
        return Ok(());
    }
    Err(Problem::new(403, "not-allowed", "the token may not manage tokens and sessions")
        .with_detail(
            "that takes the role admin: set `role = \"admin\"` of a token in the configuration of the console, or create one with \
             `lockstep tokens create … --role admin`",
        )
        .into())
}

/// Reads a body, which describes this.
///
/// # Errors
/// The problem to respond with.
pub(super) async fn read<T: DeserializeOwned>(
    shared: &Shared,
    request: Request,
    what: &str,
) -> Result<T, ProblemResponse> {
    let body = shared.bodies.read(request.into_body(), LONGEST_BODY).await?;
    // An empty body says nothing: everything is the default.
    let bytes: &[u8] = if body.bytes.is_empty() { b"{}" } else { &body.bytes };
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut decoder).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            "$".to_owned()
        } else {
            format!("$.{path}")
        };
        Problem::new(400, "invalid-data", &format!("the body does not describe {what}"))
            .with_detail(error.into_inner().to_string())
            .with_place(place)
            .into()
    })
}

async fn stored(shared: &Shared, name: &str) -> Result<Option<AccessToken>, ProblemResponse> {
    let row = shared.context.access_tokens.access_token(name).await;
    row.map_err(problem::store_error)
}

async fn named(shared: &Shared, name: &str) -> Result<AccessToken, ProblemResponse> {
    stored(shared, name).await?.ok_or_else(|| {
        let detail =
            format!("no stored token has the name {name:?}; tokens of the configuration are changed there");
        ProblemResponse::not_found("unknown-token", "the token does not exist", detail)
    })
}

fn new_token(checked: Checked, operator: &Token, text: &str, now: Timestamp) -> NewAccessToken {
    NewAccessToken {
        name: checked.name,
        person: checked.person,
        role: checked.role,
        reads: checked.reads.iter().map(ToString::to_string).collect(),
        sources: checked.sources.iter().map(ToString::to_string).collect(),
        limits: checked.limits,
        secret: secret::stored(text),
        at: now,
        by: operator.principal().to_owned(),
        expires_at: checked.lasts.map(|lasts| now + lasts),
    }
}

/// An entry of the audit about something that an administrator manages.
pub(super) fn entry(kind: AuditKind, client: &Client, operator: &Operator, subject: &str) -> NewAuditEntry {
    NewAuditEntry {
        kind,
        actor: client.actor(operator),
        message: None,
        message_type: None,
        subject: Some(subject.to_owned()),
        reason: None,
        detail: None,
    }
}

fn name_taken(name: &str) -> ProblemResponse {
    Problem::new(409, "name-taken", "a token has or had this name")
        .with_detail(format!(
            "{name:?} is the name of another token, which may be revoked; choose a new name, so that the audit stays clear"
        ))
        .with_place("$.name")
        .into()
}

fn revoked(name: &str) -> ProblemResponse {
    Problem::new(409, "token-revoked", "the token is revoked")
        .with_detail(format!("{name:?} gets no new secret; create another token"))
        .into()
}

fn view(row: AccessToken, now: Timestamp) -> TokenView {
    TokenView {
        active: row.is_active(now),
        name: row.name,
        person: row.person,
        role: row.role,
        groups: row.limits.groups,
        tasks: row.limits.tasks,
        reads: row.reads,
        sources: row.sources,
        prefix: row.prefix,
        created_at: row.created_at,
        created_by: row.created_by,
        expires_at: row.expires_at,
        rotated_at: row.rotated_at,
        former_until: row.former_until.filter(|until| now < *until),
        revoked_at: row.revoked_at,
        used_at: row.used_at,
    }
}
