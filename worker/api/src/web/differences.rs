//! What a sync found on its devices: differences, line by line.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Html;
use serde_json::{Value, json};

use super::failure::Failure;
use super::link;
use super::page::Page;
use super::text::visible;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::parameters::{Parameters, segment};
use crate::rest::{executions, sync_devices};

/// The provider of syncs.
pub(super) const PROVIDER: &str = "sync";
/// How many differences a page has if it does not say.
const PAGE: &str = "20";
/// The most lines of a difference on a page of several; the page of its device has all.
const MOST_LINES: usize = 200;

/// `GET /executions/{execution}/devices`: the differences that a sync found, device by device.
pub(super) async fn list(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    execution: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    parameters.set_default("limit", PAGE);
    let pairs = parameters.pairs().to_vec();
    let name = segment(execution)?;
    let operator = &viewer.operator;
    let state = || State(Arc::clone(&shared));
    let (found, run) = tokio::join!(
        sync_devices::list(operator.clone(), state(), Ok(Path(name.clone())), parameters),
        executions::show(operator.clone(), state(), Ok(Path(name.clone()))),
    );
    let (Json(found), Json(run)) = (found?, run?);
    let own = format!("/executions/{}/devices", run.number);
    let devices = found.devices.iter().map(|device| {
        let mut lines = device.diff.as_deref().map(lines).unwrap_or_default();
        let left_out = lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        json!({"found": device, "lines": lines, "left_out": left_out})
    });
    let devices: Vec<Value> = devices.collect();
    let next = found.next.map(|after| after.to_string());
    let values = json!({
        "execution": run,
        "devices": devices,
        "next": next.map(|after| link::next(&own, &pairs, "after", &after)),
    });
    let title = format!("Differences of execution {}", run.number);
    let page = Page {
        viewer: &viewer,
        section: "/executions",
        title: &title,
        sent: None,
    };
    page.render("differences.html", values)
}

/// `GET /executions/{execution}/devices/{hostname}`: the whole difference of one device, without secrets.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Html<String>, Failure> {
    let Json(found) = sync_devices::show(viewer.operator.clone(), State(shared), path).await?;
    let title = format!("Difference of {}", found.hostname);
    let values = json!({
        "lines": found.diff.as_deref().map(lines),
        "found": found,
    });
    let page = Page {
        viewer: &viewer,
        section: "/executions",
        title: &title,
        sent: None,
    };
    page.render("difference.html", values)
}

/// The lines of a difference, each with what it is: `add`, `remove`, `place` or `same`. Pure.
pub(super) fn lines(difference: &str) -> Vec<Value> {
    let lines = difference.lines().map(|line| {
        let kind = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'@', b'@', ..] => "place",
            [b'+', ..] => "add",
            [b'-', ..] => "remove",
            _ => "same",
        };
        json!({"kind": kind, "text": visible(line)})
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_what_it_is() {
        let difference =
            "--- system:/running-config\n+++ session\n@@ -1 +1 @@\n-hostname a\n+hostname b\n !\n\u{1b}";
        let kinds: Vec<Value> = lines(difference)
            .iter()
            .map(|line| line["kind"].clone())
            .collect();
        assert_eq!(
            kinds,
            ["place", "place", "place", "remove", "add", "same", "same"]
        );
        assert_eq!(lines("\u{1b}")[0]["text"], "\\u{1b}");
    }
}
