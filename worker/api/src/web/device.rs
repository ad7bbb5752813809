//! One device.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{Html, Response};
use lockstep_protocol::commands::{
    DeviceMarkRequested, DeviceStateRequested, SyncAction, SyncRequested, SyncTargets,
};
use lockstep_protocol::rest::ExecutionPage;
use lockstep_protocol::{DeviceState, Hostname, Message};
use serde_json::{Value, json};

use super::command;
use super::devices::dry_run;
use super::differences::{self, lines};
use super::failure::Failure;
use super::form::{Submitted, unknown_command};
use super::link;
use super::page::{self, Page};
use super::section::section;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::rest::parameters::{Parameters, segment};
use crate::rest::{checks, device_history, devices, executions, facts, surroundings, sync_devices};

/// How many executions of the device the page names.
const EXECUTIONS: &str = "10";

/// `GET /devices/{hostname}`: how a device is, why, what happened to it, and what was found out about it.
pub(super) async fn show(
    viewer: Viewer,
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Html<String>, Failure> {
    let sent = page::sent(&mut parameters)?;
    let pairs = parameters.pairs().to_vec();
    let name = segment(hostname)?;
    let operator = &viewer.operator;
    let state = || State(Arc::clone(&shared));
    let path = || Ok(Path(name.clone()));
    let Json(device) = devices::show(operator.clone(), state(), path()).await?;
    let runs = Parameters::of(&[("hostname", &name), ("limit", EXECUTIONS)]);
    let (history, runs, facts, checks, around) = tokio::join!(
        device_history::list(operator.clone(), state(), path(), parameters),
        executions::list(operator.clone(), state(), runs),
        facts::list(operator.clone(), state(), path(), Parameters::of(&[])),
        checks::list(operator.clone(), state(), path(), Parameters::of(&[])),
        surroundings::show(operator.clone(), state(), path()),
    );
    let history = history?;
    let own = format!("/devices/{}", link::segment(&name));
    let next = history.next.as_deref();
    let difference = match &runs {
        Ok(Json(runs)) => newest_difference(&viewer, &shared, runs, &name).await?,
        Err(_) => Value::Null,
    };
    let values = json!({
        "now": shared.context.clock.now(),
        "own": own,
        "device": device,
        "history": *history,
        "next": next.map(|before| link::next(&own, &pairs, "before", before)),
        "runs": section(runs)?,
        "facts": section(facts)?,
        "checks": section(checks)?,
        "around": section(around)?,
        "difference": difference,
        "states": DeviceState::ALL,
    });
    let page = Page {
        viewer: &viewer,
        section: "/devices",
        title: &name,
        sent,
    };
    page.render("device.html", values)
}

/// What the newest sync among these executions found on the device, with the lines of its difference; null if there is none.
async fn newest_difference(
    viewer: &Viewer,
    shared: &Arc<Shared>,
    runs: &ExecutionPage,
    hostname: &str,
) -> Result<Value, Failure> {
    let newest = runs
        .executions
        .iter()
        .find(|run| run.provider == differences::PROVIDER);
    let Some(run) = newest else {
        return Ok(Value::Null);
    };
    let path = Ok(Path((run.number.to_string(), hostname.to_owned())));
    let found = sync_devices::show(viewer.operator.clone(), State(Arc::clone(shared)), path).await;
    let lines = match &found {
        Ok(Json(found)) => found.diff.as_deref().map(lines),
        Err(_) => None,
    };
    Ok(json!({"execution": run, "found": section(found)?, "lines": lines}))
}

/// `POST /devices/{hostname}`: marks the device, moves it to another state, or begins a sync of it.
pub(super) async fn command(
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
    Submitted { viewer, form }: Submitted,
) -> Result<Response, Failure> {
    let hostname = devices::hostname(hostname)?;
    let back = format!("/devices/{}", link::segment(hostname.as_str()));
    let note = form.text("note").map(str::to_owned);
    let command: Message = match form.text("command") {
        Some("unsynchronized") => DeviceMarkRequested {
            hostname,
            synchronized: false,
            generation: None,
            note,
        }
        .into(),
        // Bound to what the viewer looked at: a cause that came since is not closed.
        Some("synchronized") => DeviceMarkRequested {
            hostname,
            synchronized: true,
            generation: Some(form.required("generation")?),
            note: Some(form.required("note")?),
        }
        .into(),
        Some("state") => DeviceStateRequested {
            hostname,
            state: form.required("state")?,
            note,
            until: form.value("until")?,
        }
        .into(),
        Some("plan") => sync(hostname, SyncAction::Synchronize),
        Some("drift") => sync(hostname, SyncAction::Drift),
        Some("sessions") => sync(hostname, SyncAction::ListSessions),
        _ => return Err(unknown_command(&form).into()),
    };
    command::send(&shared, &viewer, &form, command, &back).await
}

fn sync(hostname: Hostname, action: SyncAction) -> Message {
    let request = SyncRequested {
        action,
        ..dry_run(SyncTargets::Hostname(hostname))
    };
    request.into()
}
