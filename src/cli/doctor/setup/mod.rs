//! Sets up the broker by its management API: virtual host, users, permissions, exchanges, queues, bindings, policies; or the database:
//! logins and ownership. It may run again at any time: objects that already match are left alone, and nothing is deleted.

mod apply;
mod credentials;
mod database;
mod desired_state;
mod producer;
mod step;

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
use credentials::Credentials;
use desired_state::DesiredState;
use producer::Producer;
use step::Step;

/// The server to set up.
#[derive(Debug, Args)]
#[group(id = "setup", multiple = false)]
struct Server {
    /// Create the virtual host of broker.url, with users, permissions, exchanges, queues and policies; deletes nothing
    #[arg(long = "setup-broker", id = "setup_broker")]
    broker: bool,
    /// Create a login for each role in the database of store.url, whose user must be an administrator; `lockstep migrate` as the login
    /// PREFIX-migrate then gives them their rights
    #[arg(long = "setup-database", id = "setup_database")]
    database: bool,
}

/// Options of the set-up.
#[derive(Debug, Args)]
#[command(next_help_heading = "Set-up")]
pub(super) struct Setup {
    #[command(flatten)]
    server: Server,
    /// List what would be created or changed, and change nothing
    #[arg(long, requires = "setup")]
    dry_run: bool,
    /// Folder for the users' addresses with passwords: ROLE/broker-url or ROLE/store-url is read, or created with a new password
    #[arg(long, value_name = "DIR", requires = "setup")]
    credentials: Option<PathBuf>,
    /// Set new passwords for existing users that have no file
    #[arg(long, requires = "credentials")]
    renew_passwords: bool,
    /// Prefix of the names of the users
    #[arg(long, value_name = "TEXT", default_value = "lockstep", requires = "setup")]
    user_prefix: String,
    /// User for another service that publishes, and optionally its message types: NAME or NAME=TYPE,TYPE [default types: every event]
    #[arg(long = "producer", value_name = "NAME[=TYPES]", requires = "setup_broker")]
    producers: Vec<Producer>,
    /// Maximum number of messages in an ingress lane; the broker rejects more
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
    /// None of a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<&'a str>,
    steps: &'a [Step],
}

impl Setup {
    pub(super) fn wanted(&self) -> bool {
        self.server.broker || self.server.database
    }

    /// Runs the set-up.
    ///
    /// # Errors
    /// The first step that failed. At the broker, the steps before it are done, and another run continues after them.
    pub(super) async fn run(self, config: &Config, access: &Access, json: bool) -> anyhow::Result<ExitCode> {
        if self.server.database {
            let steps = database::run(&self, config).await?;
            show(&steps, None, self.dry_run, json);
        } else {
            self.broker(config, access, json).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn broker(self, config: &Config, access: &Access, json: bool) -> anyhow::Result<()> {
        let BrokerUrl::Amqp(broker) = &config.broker.url else {
            return Err(UsageError(
                "--setup-broker needs a broker in broker.url: amqp://HOST:5672/VHOST; user and password in it are not used"
                    .to_owned(),
            )
            .into());
        };
        let management = access.open(config)?.ok_or_else(|| {
            UsageError("--setup-broker needs --management-url with an administrator".to_owned())
        })?;
        let vhost = roles::vhost(config).context("broker.url has no virtual host")?;
        let desired = DesiredState::new(&vhost, &self.user_prefix, &self.producers, self.max_length)
            .map_err(UsageError)?;
        let mut setting_up = apply::SettingUp {
            management: &management,
            credentials: Credentials::new(self.credentials.clone(), "broker-url", broker),
            monitor: Credentials::new(self.credentials, "management-url", &management.address()),
            dry_run: self.dry_run,
            renew: self.renew_passwords,
            steps: Vec::new(),
        };
        let done = setting_up.run(config, &desired).await;
        show(&setting_up.steps, Some(&vhost), self.dry_run, json);
        done
    }
}

fn show(steps: &[Step], vhost: Option<&str>, dry_run: bool, json: bool) {
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
