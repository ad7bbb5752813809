use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use lockstep_bus::{Outgoing, Properties};
use lockstep_http::{BufferedBody, Peer, ProblemResponse, trace_of};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::rest::Accepted;
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Envelope, TraceParent};
use serde::Serialize;

use super::rejection::WebhookRejection;
use super::repositories::Repository;
use super::webhook_decision::{self, WebhookDecision};
use super::{Forge, Shared};

/// Bodies of at least this many bytes are processed on a blocking thread, so that they do not delay other requests.
const LARGE: usize = 256 * 1024;

/// The response to an authenticated webhook, always 202.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Received {
    /// The broker confirmed these messages; the console shows their outcomes.
    Messages(Vec<Accepted>),
    /// The webhook was ignored, for this reason.
    Ignored(String),
}

impl IntoResponse for Received {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}

/// `POST /webhooks/{forge}/{repository}`: publishes the changes of a push, and responds when the broker confirmed them.
pub(super) async fn receive(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<impl IntoResponse, ProblemResponse> {
    let Ok(Path((forge, repository))) = path else {
        let detail = "the path is not percent-encoded UTF-8";
        return Err(ProblemResponse::not_found(
            "unknown-repository",
            "no repository with this name is configured",
            detail,
        ));
    };
    let (forge, repository) = find(&shared, &forge, &repository)?;
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let refused = |rejection: WebhookRejection| {
        let peer = parts.extensions.get::<Peer>();
        shared.refused(forge.as_str(), repository.name.as_str(), peer, &rejection);
        ProblemResponse::from(rejection)
    };
    webhook_decision::check_headers(forge, &headers).map_err(refused)?;
    let buffered = shared.webhook_bodies.read(body, shared.limits.body_bytes).await?;
    let _place = shared.place()?;
    let now = (shared.context.now)();
    let (of, copy) = (Arc::clone(&repository), headers.clone());
    let decide = move |body: &[u8]| webhook_decision::decide(forge, &of, &copy, body, now);
    let decision = decided(buffered, decide).await?;
    let name = repository.name.as_str();
    shared
        .answer(forge.as_str(), name, decision.map_err(refused)?, &headers, now)
        .await
}

fn find(shared: &Shared, forge: &str, repository: &str) -> Result<(Forge, Arc<Repository>), ProblemResponse> {
    let unknown = |what: &str, name: &str| {
        let title = format!("unknown {what}");
        ProblemResponse::not_found(
            &format!("unknown-{what}"),
            &title,
            format!("{name:?} is not the name of a {what}; check the URL of the webhook"),
        )
    };
    let known = Forge::named(forge).ok_or_else(|| unknown("forge", forge))?;
    let repositories = &shared.context.repositories;
    let configured = repositories
        .find(repository)
        .ok_or_else(|| unknown("repository", repository))?;
    Ok((known, configured))
}

/// Decides about a webhook; large bodies on a blocking thread.
pub(super) async fn decided<D>(
    buffered: BufferedBody,
    decide: D,
) -> Result<Result<WebhookDecision, WebhookRejection>, ProblemResponse>
where
    D: FnOnce(&[u8]) -> Result<WebhookDecision, WebhookRejection> + Send + 'static,
{
    let large = buffered.bytes.len() >= LARGE;
    let decide = move || {
        // Moved as a whole, so that its memory stays counted until the work ends, even if the request is cancelled.
        let buffered = buffered;
        decide(&buffered.bytes)
    };
    if !large {
        return Ok(decide());
    }
    tokio::task::spawn_blocking(decide).await.map_err(|crash| {
        tracing::error!(
            error = &crash as &dyn std::error::Error,
            "processing a webhook panicked"
        );
        ProblemResponse::internal()
    })
}

impl Shared {
    /// Publishes the messages of a webhook, unless it is ignored, and waits for the broker's confirm. `sender` is a forge or another
    /// system, `name` its repository or source.
    pub(super) async fn answer(
        &self,
        sender: &'static str,
        name: &str,
        decision: WebhookDecision,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Received, ProblemResponse> {
        let messages = match decision {
            WebhookDecision::Publish(messages) => messages,
            WebhookDecision::Ignore(why) => {
                tracing::debug!(sender, name, why, "ignored a webhook");
                return Ok(Received::Ignored(why));
            }
        };
        let accepted = messages.iter().map(|message| Accepted {
            identity: message.identity.clone(),
        });
        let accepted: Vec<Accepted> = accepted.collect();
        let trace = trace_of(headers);
        let outgoing = messages.into_iter().map(|message| outgoing(message, &trace, now));
        self.publish(outgoing.collect()).await?;
        tracing::info!(sender, name, messages = accepted.len(), "published a webhook");
        Ok(Received::Messages(accepted))
    }

    /// Counts and logs a refused webhook. Anybody can cause the line, so their number is limited.
    pub(super) fn refused(
        &self,
        sender: &'static str,
        name: &str,
        peer: Option<&Peer>,
        rejection: &WebhookRejection,
    ) {
        lockstep_telemetry::http::webhook_refused(sender, rejection.reason());
        let Some(omitted) = self.refusals.line() else {
            return;
        };
        let peer = peer.map(|peer| tracing::field::display(peer.0));
        tracing::warn!(peer, sender, name, omitted, %rejection, "refused a webhook");
    }
}

fn outgoing(mut message: Envelope, trace: &TraceParent, now: Timestamp) -> Outgoing {
    message.traceparent = Some(trace.clone());
    let kind = message.message.kind();
    Outgoing {
        destination: Destination::Ingress(kind),
        properties: Properties {
            message_id: Some(message.identity.id.clone().into()),
            kind: Some(kind.as_str().into()),
            content_type: Some(CONTENT_TYPE.into()),
            timestamp: Timestamp::from_second(now.as_second()).ok(),
            ..Properties::default()
        },
        body: message.encode().into(),
    }
}
