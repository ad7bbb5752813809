use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::GroupView;

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List groups with the numbers of their members
///
/// MEMBERS are the devices that the rule of the accepted settings (global/groups.yml) or an inventory makes members; BY-RULE and LISTED
/// count each of the two. PRIMARY are the devices whose primary group it is: folders below groups/ concern a device by that one. Columns:
/// name, priority, rule, members, by-rule, listed, primary, location, position. The list is ordered by name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep groups list
  lockstep groups list --sort -members
  lockstep groups list --json | jq -r '.[] | select(.rule) | .name'")]
pub(super) struct List {
    #[command(flatten)]
    list: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<GroupListing> = self.list.plan(global)?;
        plan.run(&GroupListing(Client::new(global)?)).await
    }
}

/// The groups of the console.
struct GroupListing(Client);

impl Listing for GroupListing {
    type Row = GroupView;

    const NOUN: &'static str = "group";

    const COLUMNS: &'static [Column<GroupView>] = &[
        Column::new("name", |group| Cell::text(&group.name)),
        Column::new("priority", |group| {
            group
                .rule
                .as_ref()
                .map_or(Cell::Absent, |rule| Cell::Number(rule.priority.into()))
        }),
        Column::shrinking("rule", |group| Cell::maybe(group.rule.as_ref().map(super::rule))),
        Column::new("members", |group| Cell::Number(group.members)),
        Column::new("by-rule", |group| Cell::Number(group.by_rule)),
        Column::new("listed", |group| Cell::Number(group.listed)),
        Column::new("primary", |group| Cell::Number(group.primary)),
        Column::wide("location", |group| {
            group.location.map_or(Cell::Absent, Cell::Boolean)
        }),
        Column::wide("position", |group| {
            group
                .rule
                .as_ref()
                .map_or(Cell::Absent, |rule| Cell::Number(rule.position.into()))
        }),
    ];

    const ORDER: &'static str = "name";

    fn key(row: &GroupView) -> String {
        row.name.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<GroupView>> {
        let page = self.0.groups(&request.uncounted("after")).await?;
        Ok(Page {
            rows: page.groups,
            next: page.next.map(|name| name.to_string()),
            total: None,
        })
    }
}
