//! What became of the message of a form.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Html;
use lockstep_http::ProblemResponse;
use serde_json::json;

use super::command::SOURCE;
use super::failure::Failure;
use super::page::Page;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::messages;
use crate::rest::parameters::Parameters;

/// `GET /messages?id=`: the outcome of a message that the viewer sent by a form.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    parameters.set_default("source", SOURCE);
    let found = messages::outcome(viewer.operator.clone(), State(shared), parameters).await;
    let found = match found {
        Ok(Json(found)) => Some(found),
        Err(problem) if is_not_known_yet(&problem) => None,
        Err(problem) => return Err(problem.into()),
    };
    let page = Page {
        viewer: &viewer,
        section: "",
        title: "Outcome of a command",
        sent: None,
    };
    page.render("message.html", json!({"found": found, "live": found.is_none()}))
}

fn is_not_known_yet(problem: &ProblemResponse) -> bool {
    problem.problem().code() == "no-outcome"
}
