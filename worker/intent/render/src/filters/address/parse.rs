use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Ip, Prefix, Version};

/// What `ip_address` of Python reads.
pub(in crate::filters) fn address(text: &str) -> Result<Ip, String> {
    parse(text).ok_or_else(|| format!("'{text}' does not appear to be an IPv4 or IPv6 address"))
}

/// What `ip_interface` of Python reads: an address and the length of a prefix, a netmask or a hostmask.
pub(in crate::filters) fn interface(text: &str) -> Result<Prefix, String> {
    prefix(text).ok_or_else(|| format!("'{text}' does not appear to be an IPv4 or IPv6 interface"))
}

/// What `ip_network` of Python reads.
pub(in crate::filters) fn network(text: &str) -> Result<Prefix, String> {
    let prefix =
        prefix(text).ok_or_else(|| format!("'{text}' does not appear to be an IPv4 or IPv6 network"))?;
    if prefix.network().ip == prefix.ip {
        Ok(prefix)
    } else {
        Err(format!("{text} has host bits set"))
    }
}

/// The network of an address and the length of a prefix.
pub(in crate::filters) fn network_of_bits(ip: Ip, length: u8) -> Prefix {
    Prefix { ip, length }.network()
}

fn parse(text: &str) -> Option<Ip> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ip::new(Version::V4, u128::from(ip.to_bits()));
    }
    let ip: Ipv6Addr = text.parse().ok()?;
    Ip::new(Version::V6, ip.to_bits())
}

fn prefix(text: &str) -> Option<Prefix> {
    let Some((ip, mask)) = text.split_once('/') else {
        let ip = parse(text)?;
        return Some(Prefix {
            ip,
            length: ip.version.bits(),
        });
    };
    let ip = parse(ip)?;
    if !mask.is_empty() && mask.bytes().all(|byte| byte.is_ascii_digit()) {
        let length: u8 = mask.parse().ok()?;
        return (length <= ip.version.bits()).then_some(Prefix { ip, length });
    }
    let mask = mask.parse::<Ipv4Addr>().ok()?.to_bits();
    if ip.version == Version::V6 {
        return None;
    }
    let length = if mask.leading_ones() + mask.trailing_zeros() == 32 || mask == 0 {
        mask.leading_ones()
    } else if mask.leading_zeros() + mask.trailing_ones() == 32 {
        mask.leading_zeros()
    } else {
        return None;
    };
    // At most 32.
    u8::try_from(length).ok().map(|length| Prefix { ip, length })
}
