//! One dead letter.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{Html, Response};
use serde_json::json;

use super::command;
use super::dead_letters::settle;
use super::failure::Failure;
use super::form::{Submitted, invalid};
use super::page::{self, Page};
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::dead_letters;
use crate::rest::parameters::{Parameters, segment};

/// `GET /dead-letters/{number}`: one dead letter, with its body.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    number: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    parameters.finish("none")?;
    let needs_reason = shared.context.access.requires_reasons;
    let Json(found) = dead_letters::show(viewer.operator.clone(), State(shared), number).await?;
    let title = format!("Dead letter {}", found.dead_letter.number);
    let page = Page {
        viewer: &viewer,
        section: "/dead-letters",
        title: &title,
        sent,
    };
    page.render(
        "dead_letter.html",
        json!({"found": found, "needs_reason": needs_reason}),
    )
}

/// `POST /dead-letters/{number}`: requeues or drops it.
pub(super) async fn command(
    State(shared): State<Arc<Shared>>,
    number: Result<Path<String>, PathRejection>,
    Submitted { viewer, form }: Submitted,
) -> Result<Response, Failure> {
    let number = segment(number)?.parse::<u64>();
    let number = number.map_err(|error| invalid(format!("the number of the dead letter: {error}")))?;
    let command = settle(&form, Some(number), None)?;
    command::send(
        &shared,
        &viewer,
        &form,
        command,
        &format!("/dead-letters/{number}"),
    )
    .await
}
