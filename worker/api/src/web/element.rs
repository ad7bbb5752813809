//! One element of an execution.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Html;
use serde_json::json;

use super::failure::Failure;
use super::page::Page;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::elements;

/// `GET /elements/{number}`: one element with what its provider returned.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    number: Result<Path<String>, PathRejection>,
) -> Result<Html<String>, Failure> {
    let Json(detail) = elements::show(viewer.operator.clone(), State(shared), number).await?;
    let title = format!(
        "{} in execution {}",
        detail.element.name, detail.element.execution
    );
    let page = Page {
        viewer: &viewer,
        section: "/executions",
        title: &title,
        sent: None,
    };
    page.render("element.html", json!({"element": detail}))
}
