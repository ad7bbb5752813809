//! Builds the gateway.

use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::Bus;
use lockstep_clock::{Clock, SystemClock};
use lockstep_http::{Token, Tokens};
use lockstep_producer::gateway::{Gateway, GatewayContext, GatewayLimits, Repositories, Secrets};
use lockstep_protocol::RepositoryName;
use lockstep_telemetry::Scrape;
use tokio::net::TcpListener;

use crate::config::{Config, RepositoryConfig, TokenConfig};
use crate::lifecycle::Lifecycle;

/// Builds the gateway with at most this many connections.
pub(super) fn build(
    config: &Config,
    bus: &Arc<dyn Bus>,
    scrape: Scrape,
    connections: usize,
    extra_tokens: impl IntoIterator<Item = Token>,
) -> Gateway {
    let configured = config.gateway.tokens.iter().map(TokenConfig::token);
    let tokens: Tokens = configured.chain(extra_tokens).collect();
    let context = GatewayContext {
        bus: bus.clone(),
        repositories: repositories(config),
        sources: super::inventories::of_gateway(config),
        tokens,
        proxies: config.gateway.trusted_proxies.iter().copied().collect(),
        now: || SystemClock.now(),
    };
    let limits = GatewayLimits {
        body_bytes: config.gateway.max_body_bytes,
        held_bytes: config.gateway.max_held_bytes,
        // Fewer than connections, so that one is always left for health.
        requests: config.gateway.max_requests.min(connections - connections / 4),
        connections,
        connections_per_address: config.gateway.max_connections_per_address,
        header_timeout: config.gateway.header_timeout,
        body_timeout: config.gateway.body_timeout,
        publish_timeout: config.gateway.publish_timeout,
        // The body and the publish in turn, and some time for the rest.
        request_timeout: config.gateway.body_timeout
            + config.gateway.publish_timeout
            + Duration::from_secs(5),
        ..GatewayLimits::default()
    };
    Gateway::with_limits(context, limits).with_metrics(scrape)
}

fn repositories(config: &Config) -> Repositories {
    let named = [
        ("settings", &config.repositories.settings),
        ("templates", &config.repositories.templates),
    ];
    let entry = |(name, repository): (&str, &Option<RepositoryConfig>)| {
        let name = RepositoryName::try_from(name.to_owned()).expect("a plain word is a valid name");
        let secrets: Secrets = repository.as_ref()?.webhook_secrets.iter().cloned().collect();
        if secrets.is_empty() {
            tracing::warn!(repository = %name, "webhook_secret is not configured; webhooks of this repository are rejected");
        }
        Some((name, secrets))
    };
    named.into_iter().filter_map(entry).collect()
}

pub(super) fn spawn(lifecycle: &mut Lifecycle, gateway: Gateway, listener: TcpListener) {
    let stop = lifecycle.stop.clone();
    lifecycle.spawn("gateway", async move {
        gateway.serve(listener, stop).await;
        Ok(())
    });
}
