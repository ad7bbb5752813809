//! Checks NetBox and Nautobot: reachable with their tokens, and read by the workers.

use lockstep_clock::{Clock, SystemClock};
use lockstep_store::InventorySourceRow;

use super::finding::Findings;
use crate::config::{Config, SourceConfig};
use crate::roles;

const CHECK: &str = "source";

/// How many polls may be late before workers are said not to poll.
const LATE_POLLS: u32 = 10;

pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    if config.sources.is_empty() {
        return;
    }
    let rows = match roles::polled_sources(config) {
        Ok(store) => store.inventory_sources().await.ok(),
        Err(_) => None,
    };
    for (name, source) in &config.sources {
        one(name, source, rows.as_deref(), findings).await;
    }
}

async fn one(
    name: &str,
    source: &SourceConfig,
    rows: Option<&[InventorySourceRow]>,
    findings: &mut Findings,
) {
    if source.rules.device_types.is_empty() && source.rules.default_type.is_none() {
        findings.warning(
            CHECK,
            format!("{name}: no role has a device type, so every device is ignored"),
            format!("name the roles in sources.{name}.device_types, or set sources.{name}.default_type"),
        );
    }
    let Some(poll) = &source.poll else {
        return findings.warning(
            CHECK,
            format!("{name}: its change log is not polled, so a webhook that is lost stays lost"),
            format!(
                "set sources.{name}.url and sources.{name}.token_file in the configuration of the workers"
            ),
        );
    };
    let client = match roles::source_client(name, source, poll) {
        Ok(client) => client,
        Err(error) => {
            return findings.failed(CHECK, format!("{name}: {error:#}"), "correct the configuration");
        }
    };
    if let Err(error) = client.newest().await {
        let error = anyhow::Error::new(error);
        return findings.failed(
            CHECK,
            format!("{name}: {error:#}"),
            format!("check url, token and ca_file in [sources.{name}], as the user that runs the worker"),
        );
    }
    let Some(rows) = rows else {
        return findings.unknown(
            CHECK,
            format!("{name}: its change log is readable; the store cannot be read"),
            "fix the store first",
        );
    };
    let row = rows.iter().find(|row| row.name == name);
    if let Some(error) = row.and_then(|row| row.error.as_ref()) {
        return findings.warning(
            CHECK,
            format!(
                "{name}: workers cannot poll it since {:.0}: {}",
                error.since, error.reason
            ),
            "check its address and token on the machines of the workers; they try again by themselves",
        );
    }
    let polled = row.and_then(|row| row.succeeded_at);
    let late = polled.is_none_or(|at| {
        let age = SystemClock.now().duration_since(at);
        age.unsigned_abs() > poll.every.saturating_mul(LATE_POLLS)
    });
    match polled {
        Some(at) if !late => findings.ok(
            CHECK,
            format!("{name}: its change log is readable, and was polled {at:.0}"),
        ),
        Some(at) => findings.warning(
            CHECK,
            format!("{name}: no worker polled its change log since {at:.0}"),
            "start a worker with this source in its configuration, and look at its log",
        ),
        None => findings.warning(
            CHECK,
            format!("{name}: its change log is readable; no worker has polled it yet"),
            "start a worker with this source in its configuration",
        ),
    }
}
