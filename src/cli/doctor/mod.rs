//! `lockstep doctor`: checks everything that an installation needs. With `--setup-broker` or `--setup-database` it creates the objects of
//! the broker, or the logins of the database, instead.

mod broker;
mod cvp;
mod devices;
mod exposure;
mod finding;
mod fleet;
mod freeze;
mod identity_provider;
mod lanes;
mod machine;
mod management;
mod operation;
mod providers;
mod repositories;
mod rights;
mod setup;
mod sources;
mod store;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use lockstep_protocol::topology::access::Role;
use lockstep_store::postgres::DatabaseRole;

use super::{Global, output};
use crate::config::{BrokerUrl, Config, Overrides};
use crate::roles;
use finding::{Findings, State};
use management::{Access, Management};

/// Check the installation, and say how to fix each problem
///
/// Checks the broker, the store, the repositories, the CloudVision clusters and the credentials of devices of the configuration, and
/// changes nothing. Some checks
/// of the broker need its management API (--management-url); without it their result is unknown. With --setup-broker it creates the
/// virtual host, users, permissions, exchanges, queues and policies instead, with --setup-database the logins of the database; it
/// deletes nothing, and may run again at any time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep doctor
  lockstep doctor --role gateway --json
  lockstep doctor --management-url http://lockstep-monitor:PASSWORD@rabbitmq:15672
  lockstep doctor --setup-broker --management-url http://admin:PASSWORD@rabbitmq:15672 \\
      --credentials secrets --dry-run
  LOCKSTEP__STORE__URL_FILE=database-admin lockstep doctor --setup-database --credentials secrets

Exit codes: 0 no check failed (there may be warnings and unknown results), 1 a check failed, 78 invalid configuration.")]
pub(super) struct Doctor {
    /// Role to check: its permissions and everything it needs
    #[arg(long, value_enum, default_value_t = As::Worker, value_name = "ROLE")]
    role: As,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    setup: setup::Setup,
    /// Only check that a URL answers 200; for the health check of a container
    #[arg(
        long,
        value_name = "URL",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with = "setup"
    )]
    probe: Option<String>,
    /// URL for --probe without a value; if both are empty, the probe succeeds
    #[arg(long, hide = true, env = "LOCKSTEP_PROBE_URL", default_value = "")]
    probe_url: String,
}

/// A role that can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum As {
    Worker,
    Gateway,
    Console,
}

impl As {
    fn role(self) -> Role {
        match self {
            Self::Worker => Role::Worker,
            Self::Gateway => Role::Gateway,
            Self::Console => Role::Console,
        }
    }
}

impl Doctor {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if let Some(url) = &self.probe {
            let url = if url.is_empty() { &self.probe_url } else { url };
            return probe(url).await;
        }
        let config = global.configuration(Overrides::default())?;
        if self.setup.wanted() {
            return self.setup.run(&config, &self.access, global.json).await;
        }
        let management = self.access.open(&config)?;
        let findings = examine(&config, self.role, management.as_ref()).await;
        if global.json {
            output::json(&findings);
        } else {
            for line in findings.lines() {
                output::line(&line);
            }
        }
        Ok(if findings.worst() == State::Failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Checks that an address answers 200. Succeeds without an address, for processes that listen nowhere.
///
/// # Errors
/// If it does not answer 200 in time.
async fn probe(url: &str) -> anyhow::Result<ExitCode> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    if url.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let response = roles::http_client()?.get(url).timeout(TIMEOUT).send().await;
    let status = response
        .with_context(|| format!("{url} does not answer"))?
        .status();
    ensure!(status == reqwest::StatusCode::OK, "{url} answered {status}");
    Ok(ExitCode::SUCCESS)
}

/// Runs every check of the role, one after another.
async fn examine(config: &Config, role: As, management: Option<&Management>) -> Findings {
    let mut findings = Findings::default();
    machine::examine(config, role, &mut findings).await;
    exposure::examine(config, role, &mut findings);
    match &config.broker.url {
        BrokerUrl::Embedded => {
            findings.ok("broker", "embedded in the process of `lockstep up`");
            lanes::embedded(&config.worker.lanes, !config.cvp.is_empty(), &mut findings);
        }
        BrokerUrl::Amqp(_) => {
            broker::examine(config, role.role(), &mut findings).await;
            operation::examine(config, management, &mut findings).await;
        }
    }
    if role != As::Gateway {
        providers::examine(config, role, &mut findings).await;
    }
    match role {
        As::Gateway => {}
        As::Worker => store::examine(config, DatabaseRole::Worker, &mut findings).await,
        As::Console => store::examine(config, DatabaseRole::Console, &mut findings).await,
    }
    if role == As::Console {
        identity_provider::examine(config, &mut findings).await;
    }
    if role == As::Worker {
        repositories::examine(config, &mut findings).await;
        sources::examine(config, &mut findings).await;
        cvp::examine(config, &mut findings).await;
        devices::examine(&config.devices, &mut findings);
        fleet::examine(config, &mut findings).await;
        freeze::examine(config, &mut findings).await;
    }
    findings
}
