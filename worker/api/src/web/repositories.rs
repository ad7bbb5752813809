//! The repositories.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{Html, Response};
use lockstep_protocol::commands::{RepositoryAcceptRequested, RepositoryRefreshRequested};
use lockstep_protocol::{Message, RepositoryName};
use serde_json::json;

use super::command;
use super::failure::Failure;
use super::form::{Submitted, invalid, unknown_command};
use super::page::{self, Page};
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::parameters::Parameters;
use crate::rest::repositories;

/// `GET /repositories`: accepted commits, tips, and what is wrong with them.
pub(super) async fn list(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    parameters.finish("none")?;
    let state = State(Arc::clone(&shared));
    let Json(found) = repositories::list(viewer.operator.clone(), state).await?;
    let values = json!({"now": shared.context.clock.now(), "repositories": found.repositories});
    let page = Page {
        viewer: &viewer,
        section: "/repositories",
        title: "Repositories",
        sent,
    };
    page.render("repositories.html", values)
}

/// `POST /repositories`: fetches a repository, or accepts a commit without comparing it.
pub(super) async fn command(
    State(shared): State<Arc<Shared>>,
    Submitted { viewer, form }: Submitted,
) -> Result<Response, Failure> {
    let repository = RepositoryName::try_from(form.required::<String>("repository")?);
    let repository = repository.map_err(|error| invalid(format!("field \"repository\": {error}")))?;
    let command: Message = match form.text("command") {
        Some("refresh") => RepositoryRefreshRequested { repository }.into(),
        Some("accept") => RepositoryAcceptRequested {
            repository,
            commit: form.required("commit")?,
        }
        .into(),
        _ => return Err(unknown_command(&form).into()),
    };
    command::send(&shared, &viewer, &form, command, "/repositories").await
}
