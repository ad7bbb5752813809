//! The broker's set-up as code: virtual host, users, rights, exchanges, queues, bindings, policies. It may run again at any time:
//! what is as it should be is left alone, and nothing is removed.

mod apply;
mod credentials;
mod desired_state;
mod producer;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use lockstep_protocol::topology::access::INGRESS_MAX_LENGTH;
use serde::Serialize;

use super::management::Access;
use crate::cli::{UsageError, output};
use crate::config::{BrokerUrl, Config};
use crate::roles;
use apply::Step;
use credentials::Credentials;
use desired_state::DesiredState;
use producer::Producer;

/// What to set up, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Broker set-up")]
pub(super) struct Setup {
    /// Makes the virtual host of broker.url, with users, rights, exchanges, queues and policies; removes nothing
    #[arg(long = "setup-broker", id = "setup_broker")]
    wanted: bool,
    /// Only says what would be done
    #[arg(long, requires = "setup_broker")]
    dry_run: bool,
    /// Folder of the users' passwords: ROLE/broker-url in it is read, or made with a new password
    #[arg(long, value_name = "DIR", requires = "setup_broker")]
    credentials: Option<PathBuf>,
    /// Gives new passwords to users that exist and whose file does not
    #[arg(long, requires = "credentials")]
    renew_passwords: bool,
    /// How the names of the users begin
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "lockstep",
        requires = "setup_broker"
    )]
    user_prefix: String,
    /// Another service that publishes, and optionally what: NAME or NAME=TYPE,TYPE [default: every event]
    #[arg(long = "producer", value_name = "NAME[=TYPES]", requires = "setup_broker")]
    producers: Vec<Producer>,
    /// How many messages wait in an inlet lane before publishers are refused
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = INGRESS_MAX_LENGTH,
        value_parser = clap::value_parser!(u32).range(1000..),
        requires = "setup_broker"
    )]
    max_length: u32,
}

#[derive(Serialize)]
struct Report<'a> {
    dry_run: bool,
    vhost: &'a str,
    steps: &'a [Step],
}

impl Setup {
    pub(super) fn wanted(&self) -> bool {
        self.wanted
    }

    /// Sets up.
    ///
    /// # Errors
    /// The first step that failed; those before it are done, and the next run goes on from there.
    pub(super) async fn run(self, config: &Config, access: &Access, json: bool) -> anyhow::Result<ExitCode> {
        let BrokerUrl::Amqp(broker) = &config.broker.url else {
            return Err(UsageError(
                "broker.url names no broker to set up: amqp://HOST:5672/VHOST; user and password in it are not used"
                    .to_owned(),
            )
            .into());
        };
        let management = access.open(config)?.ok_or_else(|| {
            UsageError("--setup-broker needs --management-url, of an administrator".to_owned())
        })?;
        let vhost = roles::vhost(config).context("broker.url names no virtual host")?;
        let desired = DesiredState::new(&vhost, &self.user_prefix, &self.producers, self.max_length)
            .map_err(UsageError)?;
        let credentials = Credentials::new(self.credentials, broker);
        let mut setting_up = apply::SettingUp {
            management: &management,
            credentials,
            dry_run: self.dry_run,
            renew: self.renew_passwords,
            steps: Vec::new(),
        };
        let done = setting_up.run(config, &desired).await;
        show(&setting_up.steps, &vhost, self.dry_run, json);
        done?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(steps: &[Step], vhost: &str, dry_run: bool, json: bool) {
    if json {
        return output::json(&Report {
            dry_run,
            vhost,
            steps,
        });
    }
    for step in steps {
        output::line(&step.line(dry_run));
    }
}
