use std::net::SocketAddr;

use super::reader::Reader;
use super::token::TokenConfig;

/// `[console]`
#[derive(Debug)]
pub(crate) struct ConsoleConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tokens: Vec<TokenConfig>,
}

impl ConsoleConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let usual = SocketAddr::from(([127, 0, 0, 1], 8910));
        let listen = reader.value(
            "console.listen",
            usual,
            "an address and a port, such as 127.0.0.1:8910",
        );
        Self {
            listen,
            tokens: TokenConfig::list(reader, "console.tokens"),
        }
    }
}
