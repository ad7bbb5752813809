use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::Hostname;
use lockstep_protocol::rest::CheckView;

use super::facts::history;
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List the checks of a device: the newest result of each, or all results of one
///
/// A check is ok, nok (the device does not fulfil it) or failed (it could not be performed). With --key, the results that one check
/// had, the newest first, at most 100. Columns: key, result, reason, metrics, checked, element. The list is ordered by key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices checks sw1
  lockstep devices checks sw1 --key version")]
pub(super) struct Checks {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
    /// All results of the check with this key
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    options: ListOptions,
}

impl Checks {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<CheckListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&CheckListing {
            client: &client,
            hostname: &self.hostname,
            query: history(self.key.as_deref(), true),
        })
        .await
    }
}

/// The checks of a device.
struct CheckListing<'a> {
    client: &'a Client,
    hostname: &'a Hostname,
    query: Vec<(&'static str, String)>,
}

impl Listing for CheckListing<'_> {
    type Row = CheckView;

    const NOUN: &'static str = "check";

    const COLUMNS: &'static [Column<CheckView>] = &[
        Column::new("key", |check| Cell::text(&check.key)),
        Column::new("result", |check| Cell::text(&check.result)),
        Column::shrinking("reason", |check| Cell::maybe(check.reason.as_ref())),
        Column::wide("metrics", |check| Cell::text(&check.metrics)),
        Column::new("checked", |check| Cell::Time(check.at)),
        Column::wide("element", |check| Cell::Number(check.element)),
    ];

    const ORDER: &'static str = "key";

    fn key(row: &CheckView) -> String {
        format!("{} {}", row.key, row.at)
    }

    async fn page(&self, _request: PageRequest) -> anyhow::Result<Page<CheckView>> {
        let checks = self.client.checks(self.hostname.as_str(), &self.query).await?;
        Ok(Page::all(checks))
    }

    fn empty() -> String {
        "no provider has checked this device".to_owned()
    }
}
