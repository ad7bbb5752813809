//! Explains how one thing led to the next: from a message to what became of devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use lockstep_http::ProblemResponse;
use lockstep_protocol::rest::ExplanationView;
use serde_json::{Value, json};

use super::failure::Failure;
use super::link;
use super::page::Page;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::explanations;
use crate::rest::parameters::{Parameters, segment};

/// `GET /explain`: asks for an id, and leads to its page.
pub(super) async fn search(viewer: Viewer, mut parameters: Parameters) -> Result<Response, Failure> {
    let id = parameters.text("id")?;
    parameters.finish("id")?;
    match id.as_deref().map(str::trim) {
        None | Some("") => Ok(render(&viewer, "", None, None)?.into_response()),
        Some(id) => {
            let path = format!("/explain/{}", link::segment(id));
            Ok(Redirect::to(&path).into_response())
        }
    }
}

/// `GET /explain/{id}`: what `GET /v1/explain/{id}` says. An id that names nothing, or too much, leaves the search.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let id = segment(id)?;
    let path = Ok(Path(id.clone()));
    match explanations::explain(viewer.operator.clone(), State(shared), path, parameters).await {
        Ok(Json(found)) => Ok(render(&viewer, &id, Some(&found), None)?.into_response()),
        Err(problem) if is_about_the_id(&problem) => {
            let status = problem.problem().status;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
            let html = render(&viewer, &id, None, Some(&problem))?;
            Ok((status, html).into_response())
        }
        Err(problem) => Err(problem.into()),
    }
}

fn is_about_the_id(problem: &ProblemResponse) -> bool {
    matches!(problem.problem().status, 400 | 404)
}

fn render(
    viewer: &Viewer,
    id: &str,
    found: Option<&ExplanationView>,
    problem: Option<&ProblemResponse>,
) -> Result<Html<String>, Failure> {
    let title = match found {
        Some(_) => format!("Explain {id}"),
        None => "Explain".to_owned(),
    };
    let page = Page {
        viewer,
        section: "/explain",
        title: &title,
        sent: None,
    };
    let values = json!({
        "id": id,
        "found": found,
        "executions": found.map(by_execution),
        "problem": problem.map(ProblemResponse::problem),
    });
    page.render("explain.html", values)
}

/// Each execution with what it did. Pure.
fn by_execution(found: &ExplanationView) -> Vec<Value> {
    let executions = found.executions.iter().map(|run| {
        let elements = found.elements.iter();
        let elements = elements.filter(|explained| explained.element.execution == run.number);
        json!({"run": run, "elements": elements.collect::<Vec<_>>()})
    });
    executions.collect()
}
