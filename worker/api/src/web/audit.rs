//! The audit: what people did or tried, and what workers decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Html;
use lockstep_protocol::{AuditKind, AuditOutcome};
use serde_json::json;

use super::failure::Failure;
use super::filters::Filters;
use super::link;
use super::page::Page;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::audit;
use crate::rest::parameters::Parameters;

/// How many entries the page has if it does not say, and how many an export has.
const PAGE: &str = "50";
const EXPORT: &str = "1000";
/// What entries are filtered by.
const FILTERS: [&str; 7] = [
    "principal",
    "kind",
    "subject",
    "outcome",
    "message",
    "since",
    "until",
];

/// `GET /audit`: one page of entries, newest first, with filters.
pub(super) async fn list(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let filters = Filters::of(&mut parameters, "/audit", "before", PAGE);
    let Json(found) = audit::list(viewer.operator.clone(), State(shared), parameters).await?;
    let chosen = FILTERS.map(|name| (name, filters.chosen(name)));
    let export = chosen.into_iter().chain([("limit", EXPORT)]);
    let values = json!({
        "next": filters.next(found.next),
        "first": filters.first(),
        "entries": found.entries,
        "kinds": AuditKind::ALL,
        "outcomes": AuditOutcome::ALL,
        "chosen": BTreeMap::from(chosen),
        "export": link::with("/v1/audit", export),
        "exported": EXPORT,
    });
    let page = Page {
        viewer: &viewer,
        section: "/audit",
        title: "Audit",
        sent: None,
    };
    page.render("audit.html", values)
}
