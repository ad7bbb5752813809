//! What other machines can reach or read: addresses to listen on, and connections without TLS.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

use super::As;
use super::finding::Findings;
use crate::config::Config;

/// Checks where the role listens. No role speaks TLS itself.
pub(super) fn examine(config: &Config, role: As, findings: &mut Findings) {
    const CHECK: &str = "listener";
    let (key, address, who) = match role {
        As::Worker => match config.worker.listen {
            Some(address) => ("worker.listen", address, "the server that collects metrics"),
            None => return,
        },
        As::Gateway => ("gateway.listen", config.gateway.listen, PROXY),
        As::Console => ("console.listen", config.console.listen, PROXY),
    };
    if is_open(address) {
        findings.warning(
            CHECK,
            format!("{key} {address} is open to other machines, without TLS"),
            format!(
                "let only {who} reach it, by a network of their own or a firewall, or listen on 127.0.0.1"
            ),
        );
    } else {
        findings.ok(CHECK, format!("{key} {address} is open to this machine only"));
    }
}

const PROXY: &str = "a TLS proxy that does not forward /metrics, /healthz and /readyz";

fn is_open(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Whether the host of a URL is this machine.
pub(super) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Whether the `sslmode` of a database's URL refuses a connection without TLS.
pub(super) fn requires_tls(url: &Url) -> bool {
    let mode = url.query_pairs().filter(|(name, _)| name == "sslmode").last();
    mode.is_some_and(|(_, mode)| matches!(&*mode, "require" | "verify-full"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_closed() {
        let table = [
            ("127.0.0.1:1", false),
            ("127.8.0.1:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.0.2.1:1", true),
        ];
        for (address, expected) in table {
            assert_eq!(is_open(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_database_requires_tls_only_if_its_address_says_so() {
        let table = [
            ("postgres://u@h/d", false),
            ("postgres://u@h/d?sslmode=prefer", false),
            ("postgres://u@h/d?sslmode=disable", false),
            (
                "postgres://u@h/d?options=-csearch_path%3Dx&sslmode=verify-full",
                true,
            ),
            ("postgres://u@h/d?sslmode=require", true),
        ];
        for (url, expected) in table {
            assert_eq!(requires_tls(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
