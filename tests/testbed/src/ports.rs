//! Finds free ports for private servers.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

/// A port of 127.0.0.1 without a listener.
///
/// It lies below the range from which the kernel takes ports for outgoing connections. Otherwise, while a broker is
/// down, a client could get its port, or a client that retries could even connect to itself.
///
/// # Errors
///
/// No port was found in many attempts.
pub fn free_port() -> anyhow::Result<u16> {
    (0..1_000)
        .map(|_| rand::random_range(12_000..32_000))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .context("find a free port")
}
