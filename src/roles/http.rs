//! HTTP listeners and clients.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};

use crate::config::{Config, ConfigProblems};

/// The HTTP client of the command line. It does not follow redirects, which could leak the token.
///
/// # Errors
/// If the TLS stack cannot be started.
#[expect(
    clippy::disallowed_methods,
    reason = "the composition root builds HTTP clients"
)]
pub(crate) fn http_client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot start the HTTP client")
}

/// The HTTP client for the broker's management API. It trusts the authority of `broker.ca_file`.
///
/// # Errors
/// If the authority cannot be read or the TLS stack cannot be started.
#[expect(
    clippy::disallowed_methods,
    reason = "the composition root builds HTTP clients; this one trusts the authority of the broker"
)]
pub(crate) fn management_client(config: &Config) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &config.broker.ca_file {
        builder = builder.tls_certs_only(authorities("broker.ca_file", file)?);
    }
    builder.build().context("cannot start the HTTP client")
}

/// The certificates in a PEM file. `key` is the setting that names the file.
pub(super) fn authorities(key: &str, file: &Path) -> Result<Vec<reqwest::Certificate>, ConfigProblems> {
    let problem = |reason: String| ConfigProblems::one(key, reason);
    let pem =
        std::fs::read(file).map_err(|error| problem(format!("cannot read {}: {error}", file.display())))?;
    let none = || problem(format!("{} contains no certificates in PEM", file.display()));
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| none())?;
    if certificates.is_empty() {
        return Err(none());
    }
    Ok(certificates)
}

/// What the operating system keeps of the responses of a connection, in bytes. By default it may be 4 MiB, which clients that never
/// read could make it keep for each of their connections.
const SEND_BUFFER: u32 = 128 * 1024;
/// The most connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens on an address. `setting` names the flag or key of the address, for the error.
pub(super) fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    bind(address)
        .with_context(|| format!("cannot listen on {address}; choose another address with {setting}"))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As `TcpListener::bind` does, so that a restart can listen at once.
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The URL by which clients on this machine reach a listener.
pub(super) fn url_of(mut address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_the_local_address() {
        let table = [
            ("0.0.0.0:8910", "http://127.0.0.1:8910"),
            ("[::]:8910", "http://[::1]:8910"),
            ("192.0.2.1:80", "http://192.0.2.1:80"),
        ];
        for (address, expected) in table {
            assert_eq!(url_of(address.parse().unwrap()), expected);
        }
    }
}
