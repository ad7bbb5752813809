use std::collections::BTreeSet;
use std::net::SocketAddr;

use secrecy::ExposeSecret;

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
        let count = reader.count("console.tokens");
        let mut names = BTreeSet::new();
        let tokens: Vec<TokenConfig> = (0..count)
            .filter_map(|index| TokenConfig::of(reader, index, &mut names))
            .collect();
        let secrets: BTreeSet<&str> = tokens.iter().map(|token| token.token.expose_secret()).collect();
        if secrets.len() < tokens.len() {
            reader.problem(
                "console.tokens",
                None,
                "two of them have the same token; each needs its own",
            );
        }
        Self { listen, tokens }
    }
}
