//! Builds the console.

use std::sync::Arc;

use lockstep_api::{Console, ConsoleContext, ConsoleLimits};
use lockstep_bus::Bus;
use lockstep_clock::SystemClock;
use lockstep_http::{Token, Tokens};
use lockstep_telemetry::Scrape;
use secrecy::SecretString;
use tokio::net::TcpListener;

use super::oidc;
use super::providers::{KnownProviders, described};
use super::store::Store;
use crate::config::{Config, TokenConfig};
use crate::lifecycle::Lifecycle;

/// Builds the console with at most this many connections.
///
/// # Errors
/// If the client of the identity provider cannot be built.
pub(super) fn build(
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
    scrape: Scrape,
    connections: usize,
    extra_tokens: impl IntoIterator<Item = Token>,
) -> anyhow::Result<Console> {
    let configured = config.console.tokens.iter().map(TokenConfig::token);
    let tokens: Tokens = configured.chain(extra_tokens).collect();
    let default = ConsoleLimits::default();
    let limits = ConsoleLimits {
        connections,
        // Fewer than connections, so that some are always left for health.
        waiting: default.waiting.min(connections / 2),
        requests: default.requests.min(connections / 4),
        streams: default.streams.min(connections / 4),
        ..default
    };
    let context = ConsoleContext {
        bus: bus.clone(),
        inbox: store.inbox.clone(),
        messages: store.messages.clone(),
        fleet: store.fleet.clone(),
        fleet_trend: store.fleet_trend.clone(),
        repositories: store.repositories.clone(),
        dead_letters: store.dead_letters.clone(),
        tasks: store.tasks.clone(),
        executions: store.executions.clone(),
        entities: store.entities.clone(),
        cycle: store.cycle.clone(),
        providers: Arc::new(KnownProviders::new(described(config))),
        syncs: store.sync_plans.clone(),
        sync_rules: Arc::new(super::sync_rules::SiteSyncRules(config.devices.types.clone())),
        access_tokens: store.access_tokens.clone(),
        login_sessions: store.login_sessions.clone(),
        oidc_logins: store.oidc_logins.clone(),
        oidc: config.console.oidc.as_ref().map(oidc::options).transpose()?,
        audit: store.audit.clone(),
        access: config.console.access,
        schema: store.schema.clone(),
        clock: Arc::new(SystemClock),
        tokens,
    };
    Ok(Console::with_limits(context, limits).with_metrics(scrape))
}

pub(super) fn spawn(lifecycle: &mut Lifecycle, console: Console, listener: TcpListener) {
    let stop = lifecycle.stop.clone();
    lifecycle.spawn("console", async move {
        console.serve(listener, stop).await;
        Ok(())
    });
}

/// A token of 256 random bits, in hexadecimal.
pub(super) fn new_token() -> SecretString {
    let random: [u128; 2] = rand::random();
    format!("{:032x}{:032x}", random[0], random[1]).into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn two_tokens_are_never_equal() {
        assert_ne!(new_token().expose_secret(), new_token().expose_secret());
    }
}
