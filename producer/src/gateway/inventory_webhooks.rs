use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use lockstep_dcim::System;
use lockstep_http::{Peer, ProblemResponse};

use super::Shared;
use super::inventory_decision;
use super::rejection::WebhookRejection;
use super::webhook_decision::check_media_type;
use super::webhooks::Received;

/// `POST /webhooks/netbox/{source}`
pub(super) async fn of_netbox(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<impl IntoResponse, ProblemResponse> {
    receive(&shared, System::NetBox, path, request).await
}

/// `POST /webhooks/nautobot/{source}`
pub(super) async fn of_nautobot(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<impl IntoResponse, ProblemResponse> {
    receive(&shared, System::Nautobot, path, request).await
}

/// Publishes the events of a change, and responds when the broker confirmed them.
async fn receive(
    shared: &Shared,
    system: System,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Received, ProblemResponse> {
    let name = path.map(|Path(name)| name).unwrap_or_default();
    let source = shared.context.sources.find(system, &name).ok_or_else(|| {
        let detail =
            format!("sources.{name} is not configured, or it is not {system}; check the URL of the webhook");
        ProblemResponse::not_found("unknown-source", "no source with this name is configured", detail)
    })?;
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let refused = |rejection: WebhookRejection| {
        let peer = parts.extensions.get::<Peer>();
        shared.refused(system.as_str(), &name, peer, &rejection);
        ProblemResponse::from(rejection)
    };
    check_media_type(&headers).map_err(refused)?;
    let buffered = shared.webhook_bodies.read(body, shared.limits.body_bytes).await?;
    let _place = shared.place()?;
    let now = (shared.context.now)();
    let copy = headers.clone();
    let decide = move |body: &[u8]| inventory_decision::decide(&source, &copy, body, now);
    let decision = super::webhooks::decided(buffered, decide).await?;
    shared
        .answer(system.as_str(), &name, decision.map_err(refused)?, &headers, now)
        .await
}
