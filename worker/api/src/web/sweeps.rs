//! The tasks of CloudVision that the last sweeps saw, each with why it is kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Html;
use serde_json::{Value, json};

use super::failure::Failure;
use super::page::Page;
use super::section::section;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::parameters::Parameters;
use crate::rest::{elements, executions};

/// The provider of sweeps, which is also what those are called that no task began.
const PROVIDER: &str = "cvp_sweep";
/// How many sweeps the page shows with their tasks.
const SWEEPS: &str = "5";
/// How many tasks of each sweep the page shows; the page of the execution has all.
const TASKS: &str = "50";

/// `GET /cloudvision`: the last sweeps.
pub(super) async fn list(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let before = parameters.value::<u64>("before")?;
    parameters.finish("before")?;
    let mut wanted = Parameters::of(&[("task", PROVIDER), ("limit", SWEEPS)]);
    if let Some(before) = before {
        wanted.set_default("before", &before.to_string());
    }
    let operator = &viewer.operator;
    let state = || State(Arc::clone(&shared));
    let Json(found) = executions::list(operator.clone(), state(), wanted).await?;
    let mut sweeps: Vec<Value> = Vec::with_capacity(found.executions.len());
    for run in &found.executions {
        let number = Ok(Path(run.number.to_string()));
        let wanted = Parameters::of(&[("limit", TASKS)]);
        let tasks = elements::list(operator.clone(), state(), number, wanted).await;
        sweeps.push(json!({"execution": run, "tasks": section(tasks)?}));
    }
    let values = json!({
        "now": shared.context.clock.now(),
        "sweeps": sweeps,
        "next": found.next.map(|before| format!("/cloudvision?before={before}")),
    });
    let page = Page {
        viewer: &viewer,
        section: "/cloudvision",
        title: "CloudVision",
        sent: None,
    };
    page.render("sweeps.html", values)
}
