//! Sets up the broker by its management API: virtual host, users, permissions, exchanges, queues, bindings, policies. It may run
//! again at any time: objects that already match are left alone, and nothing is deleted.

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

/// Options of the set-up.
#[derive(Debug, Args)]
#[command(next_help_heading = "Broker set-up")]
pub(super) struct Setup {
    /// Create the virtual host of broker.url, with users, permissions, exchanges, queues and policies; deletes nothing
    #[arg(long = "setup-broker", id = "setup_broker")]
    wanted: bool,
    /// List what would be created or changed, and change nothing
    #[arg(long, requires = "setup_broker")]
    dry_run: bool,
    /// Folder for the users' addresses with passwords: ROLE/broker-url is read, or created with a new password
    #[arg(long, value_name = "DIR", requires = "setup_broker")]
    credentials: Option<PathBuf>,
    /// Set new passwords for existing users that have no file
    #[arg(long, requires = "credentials")]
    renew_passwords: bool,
    /// Prefix of the names of the users
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "lockstep",
        requires = "setup_broker"
    )]
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
    vhost: &'a str,
    steps: &'a [Step],
}

impl Setup {
    pub(super) fn wanted(&self) -> bool {
        self.wanted
    }

    /// Runs the set-up.
    ///
    /// # Errors
    /// The first step that failed. The steps before it are done, and another run continues after them.
    pub(super) async fn run(self, config: &Config, access: &Access, json: bool) -> anyhow::Result<ExitCode> {
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
