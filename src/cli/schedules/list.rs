use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::ScheduleView;

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List schedules
///
/// Columns: name, cron, time-zone, task, entities, dry-run, next, last, enabled, by, saved. The list is ordered by name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep schedules list
  lockstep schedules list --sort next
  lockstep schedules list --json | jq -r '.[].next_at'")]
pub(super) struct List {
    #[command(flatten)]
    options: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<ScheduleListing> = self.options.plan(global)?;
        plan.run(&ScheduleListing(Client::new(global)?)).await
    }
}

/// The schedules of the console.
struct ScheduleListing(Client);

impl Listing for ScheduleListing {
    type Row = ScheduleView;

    const NOUN: &'static str = "schedule";

    const COLUMNS: &'static [Column<ScheduleView>] = &[
        Column::new("name", |row| Cell::text(&row.name)),
        Column::new("cron", |row| Cell::text(&row.cron)),
        Column::new("time-zone", |row| Cell::text(&row.time_zone)),
        Column::new("task", |row| Cell::text(&row.task.task)),
        Column::new("entities", |row| Cell::Number(row.task.execute_on.len() as u64)),
        Column::new("dry-run", |row| Cell::Boolean(row.task.dry_run)),
        Column::new("next", |row| Cell::time(row.next_at)),
        Column::new("last", |row| Cell::time(row.last_at)),
        Column::new("enabled", |row| Cell::Boolean(row.enabled)),
        Column::wide("by", |row| Cell::maybe(row.saved_by.as_ref())),
        Column::wide("saved", |row| Cell::Time(row.saved_at)),
    ];

    const ORDER: &'static str = "name";

    fn key(row: &ScheduleView) -> String {
        row.number.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<ScheduleView>> {
        let page = self.0.schedules(&request.uncounted("after")).await?;
        Ok(Page {
            rows: page.schedules,
            next: page.next,
            total: None,
        })
    }
}
