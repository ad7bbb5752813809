//! The list of dead letters.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{Html, Response};
use lockstep_protocol::Message;
use lockstep_protocol::commands::{DeadLetterDropRequested, DeadLetterRequeueRequested, DeadLetterSelection};
use serde_json::json;

use super::command;
use super::failure::Failure;
use super::filters::Filters;
use super::form::{Form, Submitted, invalid, unknown_command};
use super::page::{self, Page};
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::dead_letters;
use crate::rest::parameters::Parameters;

/// How many dead letters the page has if it does not say.
const PAGE: &str = "50";

/// `GET /dead-letters`: how many there are of each kind, and one page of them, newest first.
pub(super) async fn list(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    let filters = Filters::of(&mut parameters, "/dead-letters", "before", PAGE);
    let chosen = |name| filters.chosen(name);
    let operator = &viewer.operator;
    let state = || State(Arc::clone(&shared));
    let (found, counts) = tokio::join!(
        dead_letters::list(operator.clone(), state(), parameters),
        dead_letters::counts(operator.clone(), state(), Parameters::of(&[])),
    );
    let (Json(found), Json(counts)) = (found?, counts?);
    let values = json!({
        "now": shared.context.clock.now(),
        "page": found,
        "counts": counts,
        "needs_reason": shared.context.access.requires_reasons,
        "next": filters.next(found.next),
        "first": filters.first(),
        "chosen": {"state": chosen("state"), "lane": chosen("lane"), "type": chosen("type"), "code": chosen("code")},
    });
    let page = Page {
        viewer: &viewer,
        section: "/dead-letters",
        title: "Dead letters",
        sent,
    };
    page.render("dead_letters.html", values)
}

/// `POST /dead-letters`: requeues or drops those of one kind, up to the newest one that the viewer saw.
pub(super) async fn command(
    State(shared): State<Arc<Shared>>,
    Submitted { viewer, form }: Submitted,
) -> Result<Response, Failure> {
    let code = form.text("code").map(|code| serde_json::from_value(json!(code)));
    let code = code.transpose().map_err(|error| {
        invalid(format!(
            "field \"code\": {error}; settle these dead letters one by one"
        ))
    })?;
    let matching = DeadLetterSelection {
        up_to: form.required("up_to")?,
        code,
        lane: form.value("lane")?,
        message_type: form.text("type").map(str::to_owned),
    };
    let command = settle(&form, None, Some(matching))?;
    command::send(&shared, &viewer, &form, command, "/dead-letters").await
}

/// The command of a form that requeues or drops.
pub(super) fn settle(
    form: &Form,
    dead_letter: Option<u64>,
    matching: Option<DeadLetterSelection>,
) -> Result<Message, Failure> {
    match form.text("command") {
        Some("requeue") => Ok(DeadLetterRequeueRequested {
            dead_letter,
            matching,
        }
        .into()),
        Some("drop") if !form.is_checked("confirmed") => Err(invalid(
            "a dropped message is not processed any more: check the box beside the button first",
        )
        .into()),
        Some("drop") => Ok(DeadLetterDropRequested {
            dead_letter,
            matching,
        }
        .into()),
        _ => Err(unknown_command(form).into()),
    }
}
