use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::counted;
use lockstep_protocol::rest::{ElementView, ExecutionView};

use super::view;
use crate::cli::client::Client;
use crate::cli::elements::{self, ElementListing};
use crate::cli::{Global, list, output};

/// The provider whose executions begin others.
const WORKFLOW: &str = "workflow";

/// The most steps of a workflow that are shown: a workflow has at most so many.
const STEPS: u64 = 100;

/// The most failed elements that are shown.
const FAILED: u64 = 10;

/// Show an execution, and the first of its failed elements; or everything about one of its elements
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep executions show 1
  lockstep executions show 1 --element sw1
  lockstep executions show 1 --element sw1 --json | jq .data")]
pub(super) struct Show {
    /// Number or id of the execution
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// Show the element with this name or hostname, with everything that its provider returned
    #[arg(long, value_name = "HOST")]
    element: Option<String>,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let execution = client.execution(&self.execution).await?;
        if let Some(name) = &self.element {
            let number = find(&client, &execution, name).await?;
            elements::print(&client.element(number).await?, global.json);
            return Ok(ExitCode::SUCCESS);
        }
        if global.json {
            output::json(&execution);
            return Ok(ExitCode::SUCCESS);
        }
        for line in view::fields(&execution) {
            output::line(&line);
        }
        if execution.provider == WORKFLOW {
            steps(&client, &execution).await?;
        }
        if execution.failed > 0 {
            failed(&client, &execution).await?;
        }
        if !execution.state.is_final()
            && let Some(stop) = view::stop(&client.stopped().await?)
        {
            output::note(&stop);
        }
        if let Some(hint) = view::hint(&execution) {
            output::note(&hint);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Shows the executions that a workflow began, in the order of its steps.
async fn steps(client: &Client, execution: &ExecutionView) -> anyhow::Result<()> {
    let query = [
        ("parent", execution.number.to_string()),
        ("limit", STEPS.to_string()),
    ];
    let page = client.executions(&query).await?;
    if page.executions.is_empty() {
        return Ok(());
    }
    output::line("");
    output::line("Steps:");
    for step in page.executions.iter().rev() {
        let number = step.parent.map_or(0, |parent| parent.step);
        output::line(&format!("{number:>3}  {}", view::status(step)));
    }
    Ok(())
}

async fn failed(client: &Client, execution: &ExecutionView) -> anyhow::Result<()> {
    let query = [("outcome", "failed".to_owned()), ("limit", FAILED.to_string())];
    let page = client.elements(&execution.number.to_string(), &query).await?;
    output::line("");
    output::line(&if execution.failed > FAILED {
        format!("The first {FAILED} of {} failed elements:", execution.failed)
    } else {
        "Failed elements:".to_owned()
    });
    let rows = view::rows(&page.elements, SystemClock.now());
    let width = output::size().map(|size| size.columns);
    output::lines(&output::fitted(&view::HEADER, &rows, width, &[2]), None);
    Ok(())
}

/// The number of the element with this name, or of the only one on the device with this hostname.
async fn find(client: &Client, execution: &ExecutionView, name: &str) -> anyhow::Result<u64> {
    let listing = ElementListing {
        client,
        execution: execution.number.to_string(),
        outcome: None,
    };
    let elements = list::all(&listing).await?;
    let number = execution.number;
    match matching(&elements, name)[..] {
        [] => {
            bail!("execution {number} has no element {name:?}; `lockstep elements list {number}` lists all")
        }
        [element] => Ok(element.number),
        ref several => bail!(
            "execution {number} has {} of {name}; name one of them, or use its number: lockstep elements show {}",
            counted(several.len(), "element"),
            several[0].number
        ),
    }
}

/// The elements with this name; if there is none, those on the device with this hostname.
fn matching<'a>(elements: &'a [ElementView], name: &str) -> Vec<&'a ElementView> {
    let named: Vec<&ElementView> = elements.iter().filter(|element| element.name == name).collect();
    if !named.is_empty() {
        return named;
    }
    let on_device = |element: &&ElementView| {
        let hostname = element.hostname.as_ref();
        hostname.is_some_and(|hostname| hostname.as_str().eq_ignore_ascii_case(name))
    };
    elements.iter().filter(on_device).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_element_is_found_by_its_name_before_its_device() {
        let element = |number: u64, name: &str, hostname: &str| -> ElementView {
            let json = json!({
                "number": number, "execution": 1, "entity_type": "INTERFACE", "entity": number, "name": name, "hostname": hostname,
                "state": "PENDING", "outcome": null, "waits_for": null, "reason": null, "message": null, "changed": false,
                "attempts": 0, "started_at": null, "ended_at": null,
            });
            serde_json::from_value(json).unwrap()
        };
        let elements = [
            element(1, "sw1", "sw1"),
            element(2, "Ethernet1", "sw1"),
            element(3, "Ethernet1", "sw2"),
        ];
        for (name, expected) in [
            ("sw1", vec![1]),
            ("Ethernet1", vec![2, 3]),
            ("SW2", vec![3]),
            ("sw3", vec![]),
        ] {
            let found: Vec<u64> = matching(&elements, name).iter().map(|it| it.number).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}
