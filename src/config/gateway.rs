use std::net::SocketAddr;
use std::time::Duration;

use lockstep_http::AddressRange;
use lockstep_protocol::{Class, Kind, TypePattern};

use super::reader::Reader;
use super::token::TokenConfig;

const MIB: usize = 1024 * 1024;

/// `[gateway]`
#[derive(Debug)]
pub(crate) struct GatewayConfig {
    /// Where webhooks and events are received.
    pub(crate) listen: SocketAddr,
    /// The tokens that may publish events.
    pub(crate) tokens: Vec<TokenConfig>,
    /// The largest body of a webhook, in bytes.
    pub(crate) max_body_bytes: usize,
    /// The most bytes of bodies in memory at once.
    pub(crate) max_held_bytes: usize,
    /// The most requests that are processed at once; more are answered 429.
    pub(crate) max_requests: usize,
    /// The most open connections.
    pub(crate) max_connections: usize,
    /// The most open connections of one address.
    pub(crate) max_connections_per_address: usize,
    /// The proxies in front of the gateway.
    pub(crate) trusted_proxies: Vec<AddressRange>,
    /// How long the headers of a request may take.
    pub(crate) header_timeout: Duration,
    /// How long the body of a request may take.
    pub(crate) body_timeout: Duration,
    /// How long the broker may take to confirm a message.
    pub(crate) publish_timeout: Duration,
}

impl GatewayConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let default = SocketAddr::from(([127, 0, 0, 1], 8911));
        let listen = reader.value(
            "gateway.listen",
            default,
            "an address and a port, such as 127.0.0.1:8911",
        );
        let mut seconds = |key: &str, default: u64, longest: u64| {
            Duration::from_secs(reader.number(key, default, 1..=longest))
        };
        let header_timeout = seconds("gateway.header_seconds", 10, 300);
        let body_timeout = seconds("gateway.body_seconds", 20, 300);
        let publish_timeout = seconds("gateway.publish_seconds", 5, 60);
        let max_body_bytes = reader.number("gateway.max_body_bytes", 25 * MIB, 1024..=1024 * MIB);
        let max_requests = reader.number("gateway.max_requests", 256, 1..=65_536);
        let origin = reader.origin("gateway.max_connections");
        let max_connections = reader.number("gateway.max_connections", 1024, 1..=65_536);
        if max_connections <= max_requests {
            let reason = format!(
                "is {max_connections}, must be more than gateway.max_requests ({max_requests}), so that health is served while all requests are in flight"
            );
            reader.problem("gateway.max_connections", origin.as_ref(), reason);
        }
        Self {
            listen,
            tokens: tokens(reader),
            max_body_bytes,
            max_held_bytes: reader.number("gateway.max_held_bytes", 256 * MIB, 1024..=65_536 * MIB),
            max_requests,
            max_connections,
            max_connections_per_address: reader.number(
                "gateway.max_connections_per_address",
                256,
                1..=65_536,
            ),
            trusted_proxies: reader.list("gateway.trusted_proxies", Vec::new()),
            header_timeout,
            body_timeout,
            publish_timeout,
        }
    }
}

/// The tokens. The gateway publishes only events, so a type that matches no event is a problem.
fn tokens(reader: &mut Reader) -> Vec<TokenConfig> {
    let tokens = TokenConfig::list(reader, "gateway.tokens", false);
    let matches_an_event = |pattern: &TypePattern| {
        let mut events = Kind::ALL.iter().filter(|kind| kind.class() == Class::Event);
        events.any(|kind| pattern.allows(kind.as_str()))
    };
    for token in &tokens {
        if let Some(pattern) = token.types.iter().find(|pattern| !matches_an_event(pattern)) {
            let reason = format!(
                "token {:?} may publish {pattern}, which matches no event; the gateway publishes only events, commands go to the console",
                token.name
            );
            reader.problem("gateway.tokens", None, reason);
        }
    }
    tokens
}
