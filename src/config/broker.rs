use std::path::PathBuf;

use super::address::{self, BrokerUrl};
use super::reader::Reader;

/// `[broker]`
#[derive(Debug)]
pub(crate) struct BrokerConfig {
    pub(crate) url: BrokerUrl,
    /// Certificates of the broker's authority, in PEM; otherwise those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether exchanges and queues are declared at start.
    pub(crate) declare: bool,
    /// Broker users whose messages may name an `actor`, besides our own: consoles with a user of their own.
    pub(crate) trusted_users: Vec<String>,
}

impl BrokerConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        Self {
            url: address::read(reader, "broker.url", BrokerUrl::Embedded),
            ca_file: reader.path("broker.ca_file"),
            declare: reader.flag("broker.declare", true),
            trusted_users: reader.list("broker.trusted_users").unwrap_or_default(),
        }
    }
}
