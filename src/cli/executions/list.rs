use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::ExecutionView;
use lockstep_protocol::{ExecutionState, Hostname};

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List executions, the newest first
///
/// ENDED is how many of the elements have ended. Columns: number, task, state, elements, ended, failed, dry-run, accepted, by, done,
/// skipped, reason, provider, stage, paused, started, finished, deadline, relaunch-of, workflow, id. The list is ordered by descending number.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep executions list
  lockstep executions list --state RUNNING --watch
  lockstep executions list --host sw1
  lockstep executions list --workflow 12
  lockstep executions list --task uptime --json | jq -r '.[].state'")]
pub(super) struct List {
    /// Only executions in this state, such as RUNNING or FAILED
    #[arg(long, value_parser = state)]
    state: Option<ExecutionState>,
    /// Only executions of the task with this name
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Only executions that ran on this device, or will
    #[arg(long, value_name = "HOST")]
    host: Option<Hostname>,
    /// Only the steps of the workflow whose execution has this number
    #[arg(long, value_name = "NUMBER")]
    workflow: Option<u64>,
    #[command(flatten)]
    options: ListOptions,
}

/// A state in any case.
fn state(text: &str) -> Result<ExecutionState, String> {
    let state = text.to_uppercase().parse();
    state.map_err(|error: lockstep_protocol::UnknownState| error.to_string())
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<ExecutionListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&ExecutionListing {
            client: &client,
            filters: self.filters(),
        })
        .await
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let state = self.state.map(|state| ("state", state.to_string()));
        let task = self.task.clone().map(|task| ("task", task));
        let host = self.host.as_ref().map(|host| ("hostname", host.to_string()));
        let workflow = self.workflow.map(|workflow| ("parent", workflow.to_string()));
        state
            .into_iter()
            .chain(task)
            .chain(host)
            .chain(workflow)
            .collect()
    }
}

/// The executions of the console that match.
struct ExecutionListing<'a> {
    client: &'a Client,
    filters: Vec<(&'static str, String)>,
}

impl Listing for ExecutionListing<'_> {
    type Row = ExecutionView;

    const NOUN: &'static str = "execution";

    const COLUMNS: &'static [Column<ExecutionView>] = &[
        Column::new("number", |row| Cell::Number(row.number)),
        Column::shrinking("task", |row| Cell::text(&row.task)),
        Column::new("state", |row| Cell::text(row.state)),
        Column::new("elements", |row| Cell::Number(row.elements)),
        Column::new("ended", |row| Cell::Number(row.ended())),
        Column::new("failed", |row| Cell::Number(row.failed)),
        Column::new("dry-run", |row| Cell::Boolean(row.dry_run)),
        Column::new("accepted", |row| Cell::Time(row.accepted_at)),
        Column::shrinking("by", |row| Cell::maybe(row.by.as_ref())),
        Column::wide("done", |row| Cell::Number(row.done)),
        Column::wide("skipped", |row| Cell::Number(row.skipped)),
        Column::wide("reason", |row| Cell::maybe(row.reason.as_ref())),
        Column::wide("provider", |row| Cell::text(&row.provider)),
        Column::wide("stage", |row| {
            Cell::maybe(row.stage.as_ref().map(|stage| stage.stage))
        }),
        Column::wide("paused", |row| Cell::Boolean(row.paused)),
        Column::wide("started", |row| Cell::time(row.started_at)),
        Column::wide("finished", |row| Cell::time(row.ended_at)),
        Column::wide("deadline", |row| Cell::time(row.deadline_at)),
        Column::wide("relaunch-of", |row| Cell::maybe(row.relaunch_of)),
        Column::wide("workflow", |row| {
            Cell::maybe(row.parent.map(|parent| parent.execution))
        }),
        Column::wide("id", |row| Cell::text(row.id)),
    ];

    const ORDER: &'static str = "-number";

    fn key(row: &ExecutionView) -> String {
        row.number.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<ExecutionView>> {
        let mut query = self.filters.clone();
        query.extend(request.parameters("before"));
        let page = self.client.executions(&query).await?;
        Ok(Page {
            rows: page.executions,
            next: page.next.map(|number| number.to_string()),
            total: page.total,
        })
    }
}
