use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header in which proxies name the client for which they forward; each appends the address of its client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of the client of a request, an extension of the request: what a trusted proxy says, else the address of the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// An address or a network, such as `10.0.0.1` or `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange(IpNet);

/// The text is neither an address nor a network.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither an address (10.0.0.1) nor a network (10.0.0.0/8)")]
pub struct AddressRangeError(String);

/// The proxies in front of a server. They may have as many connections as there are, and name the client for which they forward.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[AddressRange]>);

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        let range = text.parse::<IpNet>().or_else(|_| single());
        range
            .map(|range| Self(range.trunc()))
            .map_err(|_| AddressRangeError(text.to_owned()))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return self.0.addr().fmt(f);
        }
        self.0.fmt(f)
    }
}

impl FromIterator<AddressRange> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

impl TrustedProxies {
    /// Whether the address is one of a trusted proxy.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.0.contains(&address))
    }

    /// The client of a request on a connection from `address`. Of what proxies appended to each other, the last address that
    /// is not a trusted proxy counts; what is before it could be invented.
    pub(super) fn client(&self, address: IpAddr, headers: &HeaderMap) -> Peer {
        let mut client = address.to_canonical();
        let values: Vec<&str> = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let mut said = values.iter().rev().flat_map(|value| value.rsplit(','));
        while self.contain(client) {
            let Some(before) = said.next().and_then(|text| text.trim().parse::<IpAddr>().ok()) else {
                break;
            };
            client = before.to_canonical();
        }
        Peer(client)
    }
}

/// What counts as one address: with IPv6, a client has a network of 64 bits.
pub(super) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_trusted_proxies_name_the_client() {
        let proxies: TrustedProxies = ["10.0.0.0/8", "2001:db8::1"]
            .into_iter()
            .map(|range| range.parse::<AddressRange>().unwrap())
            .collect();
        let table = [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.1.2.3", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.1.2.3", &["198.51.100.7"], "198.51.100.7"),
            ("10.1.2.3", &["1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            (
                "10.1.2.3",
                &["1.1.1.1", "198.51.100.7,2001:db8::1"],
                "198.51.100.7",
            ),
            ("10.1.2.3", &["198.51.100.7, nonsense"], "10.1.2.3"),
            ("10.1.2.3", &[], "10.1.2.3"),
        ];
        for (address, values, expected) in table {
            let headers: HeaderMap = values
                .iter()
                .map(|value| (FORWARDED_FOR.parse().unwrap(), value.parse().unwrap()))
                .collect::<Vec<_>>()
                .into_iter()
                .fold(
                    HeaderMap::new(),
                    |mut all, (name, value): (axum::http::HeaderName, _)| {
                        all.append(name, value);
                        all
                    },
                );
            assert_eq!(
                proxies.client(ip(address), &headers),
                Peer(ip(expected)),
                "{address} {values:?}"
            );
        }
    }

    #[test]
    fn a_range_is_an_address_or_a_network() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::1", "::1"),
        ] {
            assert_eq!(text.parse::<AddressRange>().unwrap().to_string(), shown);
        }
        for text in ["", "host", "10.0.0.0/33", "10.0.0"] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        assert_eq!(counted_as(ip("2001:db8::1")), counted_as(ip("2001:db8::ffff:1")));
        assert_ne!(counted_as(ip("2001:db8::1")), counted_as(ip("2001:db8:0:1::1")));
        assert_eq!(counted_as(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }
}
