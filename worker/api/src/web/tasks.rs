//! The list of tasks, and their schedules.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Html;
use serde_json::json;

use super::failure::Failure;
use super::link;
use super::page::{self, Page};
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::parameters::Parameters;
use crate::rest::{schedules, tasks};

/// How many tasks the page has if it does not say, and how many schedules.
const PAGE: &str = "100";

/// `GET /tasks`: one page of tasks by name, and the first schedules.
pub(super) async fn list(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    parameters.set_default("limit", PAGE);
    let mut of_schedules = Parameters::of(&[("limit", PAGE)]);
    if let Some(after) = parameters.text("schedules_after")? {
        of_schedules.set_default("after", &after);
    }
    let pairs = parameters.pairs().to_vec();
    let operator = &viewer.operator;
    let state = || State(Arc::clone(&shared));
    let (found, timed) = tokio::join!(
        tasks::list(operator.clone(), state(), parameters),
        schedules::list(operator.clone(), state(), of_schedules),
    );
    let (Json(found), Json(timed)) = (found?, timed?);
    let next = found.next.as_deref();
    let next_schedules = timed.next.as_deref();
    let values = json!({
        "next": next.map(|after| link::next("/tasks", &pairs, "after", after)),
        "next_schedules": next_schedules.map(|after| link::next("/tasks", &pairs, "schedules_after", after)),
        "page": found,
        "schedules": timed.schedules,
    });
    let page = Page {
        viewer: &viewer,
        section: "/tasks",
        title: "Tasks",
        sent,
    };
    page.render("tasks.html", values)
}
