use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::Level;
use lockstep_protocol::rest::EntityResultView;

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List the results of an execution, one for each entity that it ran on
///
/// If the elements are all that ran, they are the results. REASON is a word for programs, MESSAGE is for people; with --json each
/// result has what the steps returned. OF is what it is below, such as the device of an interface. Columns: of, name, state, reason,
/// message, changed, entity, parent, level, task. The list is ordered by entity.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep executions results 1
  lockstep executions results 1 --level INTERFACE --of sw1
  lockstep executions results 1 --level GLOBAL --json | jq '.[].data'
  lockstep executions results 1 --phase 0")]
pub(super) struct Results {
    /// Number or id of the execution
    #[arg(value_name = "EXECUTION")]
    execution: String,
    // Not from a doc comment, which would need marks around the names.
    #[arg(
        long,
        value_parser = level,
        help = "Level of the entities: GLOBAL, ITEM, GROUP, GROUP_CLIENT, NORNIR_DEVICE, DEVICE, INTERFACE or INTERFACE_CLIENT \
            [default: what the task runs on]"
    )]
    level: Option<Level>,
    /// Only what is directly below this entity: devices of a group, interfaces of a device, clients of a group or of an interface such
    /// as "sw1 Ethernet1"; its name or its id
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// Results of this phase: 0 is the first pre-task, the task itself comes after the last one [default: the task itself]
    #[arg(long, value_name = "N")]
    phase: Option<u8>,
    #[command(flatten)]
    options: ListOptions,
}

/// A level in any case.
fn level(text: &str) -> Result<Level, String> {
    text.to_uppercase().parse()
}

impl Results {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<ResultListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&ResultListing {
            client: &client,
            filters: self.filters(),
            execution: self.execution,
        })
        .await
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let level = self.level.map(|level| ("level", level.to_string()));
        let of = self.of.clone().map(|of| ("of", of));
        let phase = self.phase.map(|phase| ("phase", phase.to_string()));
        level.into_iter().chain(of).chain(phase).collect()
    }
}

/// The results of an execution that match.
struct ResultListing<'a> {
    client: &'a Client,
    /// The number or the id of the execution.
    execution: String,
    filters: Vec<(&'static str, String)>,
}

impl Listing for ResultListing<'_> {
    type Row = EntityResultView;

    const NOUN: &'static str = "result";

    const COLUMNS: &'static [Column<EntityResultView>] = &[
        Column::new("of", |row| {
            Cell::maybe(row.of.as_ref().filter(|of| **of != row.name))
        }),
        Column::new("name", |row| Cell::text(&row.name)),
        Column::new("state", |row| Cell::text(row.state)),
        Column::new("reason", |row| Cell::maybe(row.reason.as_ref())),
        Column::shrinking("message", |row| Cell::maybe(row.message.as_ref())),
        Column::new("changed", |row| Cell::Boolean(row.changed)),
        Column::wide("entity", |row| Cell::Number(row.entity)),
        Column::wide("parent", |row| Cell::maybe(row.parent)),
        Column::wide("level", |row| Cell::text(row.level)),
        Column::wide("task", |row| Cell::text(&row.task)),
    ];

    const ORDER: &'static str = "entity";

    fn key(row: &EntityResultView) -> String {
        row.entity.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<EntityResultView>> {
        let mut query = self.filters.clone();
        query.extend(request.uncounted("after"));
        let page = self.client.results(&self.execution, &query).await?;
        Ok(Page {
            rows: page.results,
            next: page.next.map(|end| end.to_string()),
            total: None,
        })
    }
}
