use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::TaskView;

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List tasks
///
/// Columns: name, provider, description, saved, number, by, pre-tasks, post-tasks, arguments. The list is ordered by name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tasks list
  lockstep tasks list -o wide
  lockstep tasks list --json | jq -r '.[].name'")]
pub(super) struct List {
    #[command(flatten)]
    options: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<TaskListing> = self.options.plan(global)?;
        plan.run(&TaskListing(Client::new(global)?)).await
    }
}

/// The tasks of the console.
struct TaskListing(Client);

impl Listing for TaskListing {
    type Row = TaskView;

    const NOUN: &'static str = "task";

    const COLUMNS: &'static [Column<TaskView>] = &[
        Column::new("name", |task| Cell::text(&task.name)),
        Column::new("provider", |task| Cell::text(&task.provider)),
        Column::shrinking("description", |task| Cell::maybe(task.description.as_ref())),
        Column::new("saved", |task| Cell::Time(task.saved_at)),
        Column::wide("number", |task| Cell::Number(task.number)),
        Column::wide("by", |task| Cell::maybe(task.saved_by.as_ref())),
        Column::wide("pre-tasks", |task| Cell::text(task.pre_tasks.join(", "))),
        Column::wide("post-tasks", |task| Cell::text(task.post_tasks.join(", "))),
        Column::wide("arguments", |task| Cell::text(&task.arguments)),
    ];

    const ORDER: &'static str = "name";

    fn key(row: &TaskView) -> String {
        row.number.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<TaskView>> {
        let page = self.0.tasks(&request.uncounted("after")).await?;
        Ok(Page {
            rows: page.tasks,
            next: page.next,
            total: None,
        })
    }

    fn empty() -> String {
        "there is no task yet; write one, and save it with `lockstep tasks save FILE`".to_owned()
    }
}
