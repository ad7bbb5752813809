//! Contacts one device by a sync that does not push: its drift, its configuration sessions.

use std::process::ExitCode;

use lockstep_protocol::commands::{SyncAction, SyncRequested, SyncTargets};
use lockstep_protocol::rest::ElementDetail;
use lockstep_protocol::{ElementOutcome, Hostname};

use crate::cli::client::Client;
use crate::cli::output;
use crate::cli::sync::begin::{Begun, begin, quietly};
use crate::cli::sync::plan;

/// What a worker found out on the device. `Err` has the exit code where that is printed already.
///
/// # Errors
/// If the console rejects a request or cannot be reached.
pub(super) async fn contact(
    client: &Client,
    hostname: Hostname,
    action: SyncAction,
    session: Option<String>,
    json: bool,
) -> anyhow::Result<Result<ElementDetail, ExitCode>> {
    let reads = matches!(action, SyncAction::Drift | SyncAction::ListSessions);
    let command = SyncRequested {
        targets: Some(SyncTargets::Hostname(hostname)),
        action,
        session,
        dry_run: reads,
        ..plan::request()
    };
    let execution = match begin(client, command, json).await? {
        Begun::Accepted(execution) => *execution,
        Begun::Refused(code) => return Ok(Err(code)),
    };
    let number = execution.number.to_string();
    if quietly(client, execution).await?.is_none() {
        output::note(&format!(
            "execution {number} goes on; to see it: lockstep executions show {number}"
        ));
        return Ok(Err(ExitCode::FAILURE));
    }
    let page = client.elements(&number, &[("limit", "1".to_owned())]).await?;
    let Some(element) = page.elements.first() else {
        output::error(&format!("execution {number} has no element"));
        return Ok(Err(ExitCode::FAILURE));
    };
    Ok(Ok(client.element(element.number).await?))
}

/// 0 if the element was done.
pub(super) fn exit_code(detail: &ElementDetail) -> ExitCode {
    match detail.element.outcome {
        Some(ElementOutcome::Done) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// What the element says, in one line.
pub(super) fn said(detail: &ElementDetail) -> String {
    let element = &detail.element;
    let parts = [element.reason.as_deref(), element.message.as_deref()];
    let said: Vec<&str> = parts.into_iter().flatten().collect();
    format!("{}: {}", element.name, said.join(": "))
}
