//! Looks at everything an installation needs, and says what to do about what is missing. Changes nothing, unless it is told to
//! set up the broker.

mod broker;
mod cvp;
mod finding;
mod machine;
mod management;
mod operation;
mod repositories;
mod rights;
mod setup;
mod store;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use lockstep_protocol::topology::access::Role;

use super::{Global, output};
use crate::config::{BrokerUrl, Config, Overrides};
use crate::roles;
use finding::{Findings, State};
use management::{Access, Management};

/// Looks for what is missing or wrong, and says what to do
///
/// Asks broker, store, repositories and CloudVision clusters of the configuration, and changes nothing there. What only the
/// broker's management can tell is asked where --management-url is given, and unknown otherwise. With --setup-broker it makes
/// virtual host, users, rights, exchanges, queues and policies instead; it removes nothing, and may run again at any time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep doctor
  lockstep doctor --role gateway --json
  lockstep doctor --management-url http://lockstep-monitor:PASSWORD@rabbitmq:15672
  lockstep doctor --setup-broker --management-url http://admin:PASSWORD@rabbitmq:15672 --credentials secrets --dry-run

Exit codes: 0 nothing failed (warnings and what is unknown included), 1 something did, 78 bad configuration.")]
pub(super) struct Doctor {
    /// Whose rights to look at
    #[arg(long, value_enum, default_value_t = As::Worker, value_name = "ROLE")]
    role: As,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    setup: setup::Setup,
    /// Only asks an address whether it answers 200: the health check of a container
    #[arg(
        long,
        value_name = "URL",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with = "setup_broker"
    )]
    probe: Option<String>,
    /// What --probe asks where it names no address; without either, nothing
    #[arg(long, hide = true, env = "LOCKSTEP_PROBE_URL", default_value = "")]
    probe_url: String,
}

/// A role that runs with a configuration of its own.
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

/// Asks an address once; nothing where there is none, since what only runs once answers nobody.
///
/// # Errors
/// It does not answer 200 in time.
async fn probe(url: &str) -> anyhow::Result<ExitCode> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    if url.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let answer = roles::http_client()?.get(url).timeout(TIMEOUT).send().await;
    let status = answer.with_context(|| format!("{url} does not answer"))?.status();
    ensure!(status == reqwest::StatusCode::OK, "{url} answered {status}");
    Ok(ExitCode::SUCCESS)
}

/// Every check that concerns the role, one after another.
async fn examine(config: &Config, role: As, management: Option<&Management>) -> Findings {
    let mut findings = Findings::default();
    machine::examine(config, role, &mut findings).await;
    match &config.broker.url {
        BrokerUrl::Embedded => findings.ok("broker", "embedded, inside the one process of `lockstep up`"),
        BrokerUrl::Amqp(_) => {
            broker::examine(config, role.role(), &mut findings).await;
            operation::examine(config, management, &mut findings).await;
        }
    }
    if role != As::Gateway {
        store::examine(config, &mut findings).await;
    }
    if role == As::Worker {
        repositories::examine(config, &mut findings).await;
        cvp::examine(config, &mut findings).await;
    }
    findings
}
