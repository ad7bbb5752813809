//! Builds what the gateway and workers have for NetBox and Nautobot.

use std::sync::Arc;

use anyhow::Context;
use lockstep_bus::Bus;
use lockstep_dcim::source;
use lockstep_dcim_client::{ChangeLogClient, ClientOptions};
use lockstep_producer::gateway::{InventorySource, InventorySources};
use lockstep_worker::sources::{SourcePoll, SourcePollContext};
use secrecy::SecretString;

use super::http::authorities;
use super::reconcile;
use super::store::Store;
use crate::config::{Config, LateSecret, SourceConfig, SourcePollConfig};
use crate::lifecycle::Lifecycle;
use crate::local_file;

/// The sources whose webhooks the gateway accepts.
pub(super) fn of_gateway(config: &Config) -> InventorySources {
    let entry = |(name, configured): (&String, &SourceConfig)| {
        if configured.webhook_secrets.is_empty() && configured.poll.is_none() {
            tracing::warn!(source = %name, "neither webhook_secret nor url is configured; nothing of this source is received");
        }
        InventorySource {
            system: configured.system,
            secrets: configured.webhook_secrets.iter().cloned().collect(),
            rules: configured.rules.clone(),
            max_age: configured.webhook_max_age,
        }
    };
    config.sources.iter().map(entry).collect()
}

/// Starts the polls of change logs, each under a lease of its own.
///
/// # Errors
/// If a token or the certificates of an authority cannot be read.
pub(super) fn spawn_polls(
    lifecycle: &mut Lifecycle,
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
) -> anyhow::Result<()> {
    for (name, configured) in &config.sources {
        let Some(poll) = &configured.poll else { continue };
        let context = SourcePollContext {
            bus: bus.clone(),
            sources: store.inventory_sources.clone(),
            inbox: store.inbox.clone(),
            schema: store.schema.clone(),
        };
        let client = client(name, configured, poll)?;
        let source =
            source(configured.system, name).with_context(|| format!("the name of sources.{name}"))?;
        let task = SourcePoll::new(
            context,
            client,
            configured.rules.clone(),
            source,
            configured.webhook_max_age,
            poll.every,
        );
        reconcile::spawn_task(lifecycle, store, format!("source/{name}"), poll.every, task);
    }
    Ok(())
}

/// A client of the change log of a source. It follows no redirect, which could leak the token.
///
/// # Errors
/// If the token or the certificates of its authority cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "the composition root builds HTTP clients; this one trusts the authority of the source"
)]
pub(crate) fn client(
    name: &str,
    source: &SourceConfig,
    poll: &SourcePollConfig,
) -> anyhow::Result<ChangeLogClient> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(poll.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &poll.ca_file {
        builder = builder.tls_certs_only(authorities(&format!("sources.{name}.ca_file"), file)?);
    }
    let http = builder.build().context("cannot start the HTTP client")?;
    let token = match &poll.token {
        LateSecret::Fixed(token) => token.clone(),
        LateSecret::File(path) => {
            let contents = local_file::read(path, local_file::Origin::Named);
            let text = contents
                .with_context(|| format!("sources.{name}.token_file"))?
                .text;
            SecretString::from(text.trim_end().to_owned())
        }
    };
    let options = ClientOptions {
        timeout: poll.timeout,
        ..ClientOptions::new(source.system, poll.url.clone(), token)
    };
    Ok(ChangeLogClient::new(http, options))
}
