use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use lockstep_bus::{Outgoing, Properties};
use lockstep_http::{ProblemResponse, trace_of};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::rest::Accepted;
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Envelope, TraceParent};
use serde::Serialize;

use super::body_limiter::Held;
use super::rejection::WebhookRejection;
use super::repositories::Repository;
use super::webhook_decision::{self, WebhookDecision};
use super::{Forge, Shared};

/// From how many bytes on a body is worked where it keeps nobody waiting.
const LARGE: usize = 256 * 1024;

/// The answer to an authentic webhook, always 202.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Received {
    /// The broker has these messages; the console knows what becomes of them.
    Messages(Vec<Accepted>),
    /// There is nothing to do, and why.
    Ignored(String),
}

impl IntoResponse for Received {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}

/// `POST /webhooks/{forge}/{repository}`: publishes what was pushed, and answers when the broker has it.
pub(super) async fn receive(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<impl IntoResponse, ProblemResponse> {
    let Ok(Path((forge, repository))) = path else {
        let detail = "its name is not percent-encoded UTF-8";
        return Err(ProblemResponse::not_found(
            "unknown-repository",
            "there is no repository of this name",
            detail,
        ));
    };
    let (forge, repository) = find(&shared, &forge, &repository)?;
    let headers = request.headers().clone();
    webhook_decision::look(forge, &headers)?;
    let held = shared.inflow.read(request, shared.limits.body_bytes).await?;
    let now = (shared.context.now)();
    let trace = trace_of(&headers);
    let messages = match judge(forge, &repository, headers, held, now).await? {
        WebhookDecision::Publish(messages) => messages,
        WebhookDecision::Ignore(why) => {
            tracing::debug!(%forge, repository = %repository.name, why, "webhook ignored");
            return Ok(Received::Ignored(why));
        }
    };
    let accepted = messages.iter().map(|message| Accepted {
        identity: message.identity.clone(),
    });
    let accepted: Vec<Accepted> = accepted.collect();
    let outgoing = messages.into_iter().map(|message| outgoing(message, &trace, now));
    shared.publish(outgoing.collect()).await?;
    tracing::info!(%forge, repository = %repository.name, messages = accepted.len(), "webhook accepted");
    Ok(Received::Messages(accepted))
}

fn find(shared: &Shared, forge: &str, repository: &str) -> Result<(Forge, Arc<Repository>), ProblemResponse> {
    let unknown = |what: &str, name: &str| {
        let title = format!("there is no {what} of this name");
        ProblemResponse::not_found(&format!("unknown-{what}"), &title, format!("{name:?} is none"))
    };
    let known = Forge::named(forge).ok_or_else(|| unknown("forge", forge))?;
    let repositories = &shared.context.repositories;
    let configured = repositories
        .find(repository)
        .ok_or_else(|| unknown("repository", repository))?;
    Ok((known, configured))
}

/// Judges a webhook, aside where it takes long.
async fn judge(
    forge: Forge,
    repository: &Arc<Repository>,
    headers: HeaderMap,
    held: Held,
    now: Timestamp,
) -> Result<WebhookDecision, ProblemResponse> {
    let repository = Arc::clone(repository);
    let name = repository.name.clone();
    let large = held.bytes.len() >= LARGE;
    let judge = move || {
        // As a whole, so that its room is kept until the work is done, whoever gave up waiting.
        let held = held;
        webhook_decision::judge(forge, &repository, &headers, &held.bytes, now)
    };
    let judged = if large {
        tokio::task::spawn_blocking(judge).await.map_err(|crash| {
            tracing::error!(
                error = &crash as &dyn std::error::Error,
                "a webhook could not be judged"
            );
            ProblemResponse::internal()
        })?
    } else {
        judge()
    };
    judged.map_err(|rejection| {
        match &rejection {
            WebhookRejection::Unauthentic { why } => {
                tracing::warn!(%forge, repository = %name, why, "a webhook is not authentic");
            }
            other => {
                tracing::warn!(%forge, repository = %name, rejection = %other, "a webhook makes no sense");
            }
        }
        ProblemResponse::from(rejection)
    })
}

fn outgoing(mut message: Envelope, trace: &TraceParent, now: Timestamp) -> Outgoing {
    message.traceparent = Some(trace.clone());
    let kind = message.message.kind();
    Outgoing {
        destination: Destination::Ingress(kind),
        properties: Properties {
            message_id: Some(message.identity.id.to_string()),
            kind: Some(kind.as_str().to_owned()),
            content_type: Some(CONTENT_TYPE.to_owned()),
            timestamp: Timestamp::from_second(now.as_second()).ok(),
            ..Properties::default()
        },
        body: message.encode().into(),
    }
}
