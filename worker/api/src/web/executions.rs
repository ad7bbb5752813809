//! The list of executions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Html;
use lockstep_protocol::ExecutionState;
use serde_json::json;

use super::failure::Failure;
use super::filters::Filters;
use super::page::{self, Page};
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::executions;
use crate::rest::parameters::Parameters;

/// How many executions the page has if it does not say.
const PAGE: &str = "50";

/// `GET /executions`: one page of executions, newest first, with filters.
pub(super) async fn list(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    let filters = Filters::of(&mut parameters, "/executions", "before", PAGE);
    let chosen = |name| filters.chosen(name);
    let operator = &viewer.operator;
    let (found, stopped) = tokio::join!(
        executions::list(operator.clone(), State(Arc::clone(&shared)), parameters),
        executions::stopped(operator.clone(), State(Arc::clone(&shared))),
    );
    let (Json(found), Json(stopped)) = (found?, stopped?);
    let values = json!({
        "now": shared.context.clock.now(),
        "next": filters.next(found.next),
        "first": filters.first(),
        "page": found,
        "stopped": stopped,
        "states": ExecutionState::ALL,
        "chosen": {"state": chosen("state"), "task": chosen("task"), "hostname": chosen("hostname")},
    });
    let page = Page {
        viewer: &viewer,
        section: "/executions",
        title: "Executions",
        sent,
    };
    page.render("executions.html", values)
}
