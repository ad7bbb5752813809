//! The special-purpose networks of IANA, as Python's `ipaddress` knows them since 3.12.4.

use super::{Ip, Prefix, Version, address};

const PRIVATE_4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.170/31",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
];
const PUBLIC_4: &[&str] = &["192.0.0.9/32", "192.0.0.10/32"];
const PRIVATE_6: &[&str] = &[
    "::1/128",
    "::/128",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
];
const PUBLIC_6: &[&str] = &[
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
];
const RESERVED_6: &[&str] = &[
    "::/8", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "4000::/3", "6000::/3", "8000::/3",
    "a000::/3", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/9",
];

/// Whether the addresses from one to another have a property, such as `is_private`. Nothing for a property that is not known.
pub(super) fn property(name: &str, first: Ip, last: Ip) -> Option<bool> {
    let within = |networks: &[&str]| {
        networks
            .iter()
            .filter_map(|network| super::network(network).ok())
            .any(|network| network.contains(first) && network.contains(last))
    };
    let v4 = first.version == Version::V4;
    Some(match name {
        "is_private" => is_private(first, last),
        "is_global" if v4 => !within(&["100.64.0.0/10"]) && !is_private(first, last),
        "is_global" => !is_private(first, last),
        "is_multicast" => within(if v4 { &["224.0.0.0/4"] } else { &["ff00::/8"] }),
        "is_reserved" => within(if v4 { &["240.0.0.0/4"] } else { RESERVED_6 }),
        "is_loopback" => within(if v4 { &["127.0.0.0/8"] } else { &["::1/128"] }),
        "is_link_local" => within(if v4 { &["169.254.0.0/16"] } else { &["fe80::/10"] }),
        "is_site_local" if !v4 => within(&["fec0::/10"]),
        "is_unspecified" => first.number == 0 && last.number == 0,
        _ => return None,
    })
}

fn is_private(first: Ip, last: Ip) -> bool {
    let (private, public) = match first.version {
        Version::V4 => (PRIVATE_4, PUBLIC_4),
        Version::V6 => (PRIVATE_6, PUBLIC_6),
    };
    if first == last
        && let Some(mapped) = mapped(first)
    {
        return is_private(mapped, mapped);
    }
    let within = |networks: &[&str]| {
        networks
            .iter()
            .filter_map(|network| super::network(network).ok())
            .any(|network: Prefix| network.contains(first) && network.contains(last))
    };
    within(private) && !within(public)
}

/// The IPv4 address that an IPv6 address contains, if it is mapped.
pub(super) fn mapped(ip: Ip) -> Option<Ip> {
    if ip.version == Version::V6 && ip.number >> 32 == 0xffff {
        Ip::new(Version::V4, ip.number & 0xffff_ffff)
    } else {
        None
    }
}

/// The IPv4 address of an address of 6to4.
pub(super) fn six_to_four(ip: Ip) -> Option<Ip> {
    let relay = address("2002::").ok()?;
    (ip.version == Version::V6 && ip.number >> 112 == relay.number >> 112)
        .then(|| Ip::new(Version::V4, ip.number >> 80 & 0xffff_ffff))
        .flatten()
}
