use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use lockstep_http::{Operator, ProblemResponse};
use lockstep_protocol::AuditKind;
use lockstep_protocol::rest::{SessionsEnd, SessionsEnded};
use lockstep_store::NewAuditEntry;

use super::tokens::{check_manages, entry, read};
use super::{parameters, problem};
use crate::access::Client;
use crate::context::Shared;

/// `POST /v1/sessions/{name}/end`: ends every session of a person or a service.
pub(crate) async fn end(
    operator: Operator,
    client: Client,
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<SessionsEnded>, ProblemResponse> {
    check_manages(&operator)?;
    let request: SessionsEnd = read(&shared, request, "what to end").await?;
    let client = client.with_reason(request.reason.as_deref());
    let principal = parameters::segment(name)?;
    let entry = NewAuditEntry {
        reason: client.reason()?.map(str::to_owned),
        detail: request
            .release_account
            .then(|| "releases the account at the identity provider".to_owned()),
        ..entry(AuditKind::SessionsEnded, &client, &operator, &principal)
    };
    shared.audit(&[entry]).await?;
    let released = if request.release_account {
        let released = shared
            .context
            .oidc_logins
            .release_oidc_principal(&principal)
            .await;
        released.map_err(problem::store_error)?
    } else {
        false
    };
    let ended = shared.context.login_sessions.end_login_sessions_of(&principal);
    Ok(Json(SessionsEnded {
        ended: ended.await.map_err(problem::store_error)?,
        principal,
        released,
    }))
}
