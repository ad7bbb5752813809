//! Renders on a running system: an execution of the provider `sync` that contacts no device.

use std::process::ExitCode;

use anyhow::Context;
use lockstep_protocol::commands::{SyncAction, SyncRequested, SyncTargets};
use lockstep_protocol::rest::SyncConfigurationView;
use lockstep_protocol::{CommitId, ElementOutcome, Hostname};
use similar::TextDiff;

use crate::cli::client::Client;
use crate::cli::sync::begin::{Begun, begin, quietly};
use crate::cli::sync::plan;
use crate::cli::{Global, output};

/// Prints the configuration at a commit, or how it changes to another commit.
///
/// # Errors
/// If the console rejects a request or cannot be reached.
pub(super) async fn run(
    host: Hostname,
    commit: Option<CommitId>,
    to: Option<CommitId>,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let client = Client::new(global)?;
    let name = |commit: Option<&CommitId>| commit.map_or_else(|| "accepted".to_owned(), ToString::to_string);
    let names = [name(commit.as_ref()), name(to.as_ref())];
    let configuration = match rendered(&client, &host, commit, global.json).await? {
        Ok(configuration) => configuration,
        Err(code) => return Ok(code),
    };
    if to.is_none() {
        if global.json {
            output::json(&serde_json::json!({"hostname": host, "configuration": configuration}));
        } else {
            output::data(&configuration);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let other = match rendered(&client, &host, to, global.json).await? {
        Ok(configuration) => configuration,
        Err(code) => return Ok(code),
    };
    let difference = TextDiff::from_lines(&configuration, &other);
    let difference = difference.unified_diff().header(&names[0], &names[1]).to_string();
    if global.json {
        output::json(&serde_json::json!({"hostname": host, "diff": difference}));
    } else if difference.is_empty() {
        output::note(&format!("the configuration of {host} is the same"));
    } else {
        output::difference(&difference, None);
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration from a commit. `Err` has the exit code where the failure is printed already.
async fn rendered(
    client: &Client,
    host: &Hostname,
    commit: Option<CommitId>,
    json: bool,
) -> anyhow::Result<Result<String, ExitCode>> {
    let command = SyncRequested {
        targets: Some(SyncTargets::Hostname(host.clone())),
        action: SyncAction::Render,
        commit,
        ..plan::request()
    };
    let execution = match begin(client, command, json).await? {
        Begun::Accepted(execution) => *execution,
        Begun::Refused(code) => return Ok(Err(code)),
    };
    let number = execution.number.to_string();
    if quietly(client, execution).await?.is_none() {
        return Ok(Err(ExitCode::FAILURE));
    }
    let device = client.sync_device(&number, host.as_str()).await?;
    if device.outcome != Some(ElementOutcome::Done) {
        let said = device.message.or(device.reason);
        output::error(&said.unwrap_or_else(|| format!("{host} was not rendered")));
        return Ok(Err(ExitCode::FAILURE));
    }
    let SyncConfigurationView { rendered, .. } = client.sync_configuration(&number, host.as_str()).await?;
    let rendered =
        rendered.with_context(|| format!("execution {number} has no rendered configuration of {host}"))?;
    Ok(Ok(rendered))
}
