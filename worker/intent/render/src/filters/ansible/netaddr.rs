//! Networks as Python's netaddr has them, which the filters of Ansible are made of: an address keeps the length of its prefix.

use std::net::Ipv6Addr;

use crate::filters::address::{self, Ip, Prefix, Version};
use crate::filters::arguments::python_int;

/// A network or an address that a filter was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Net {
    pub(super) prefix: Prefix,
    /// Whether it was written with a prefix.
    pub(super) is_network: bool,
}

impl Net {
    /// Reads an address, a network, a number, or a number with the length of a prefix; of a number the version is 4 if it fits.
    pub(super) fn parse(text: &str, version: Option<Version>) -> Option<Self> {
        if is_digits(text) {
            let number = text.parse().ok()?;
            let wanted = if version == Some(Version::V6) {
                Version::V6
            } else {
                Version::V4
            };
            let ip = Ip::new(wanted, number).or_else(|| Ip::new(Version::V6, number))?;
            let length = ip.version.bits();
            return Some(Self {
                prefix: Prefix { ip, length },
                is_network: false,
            });
        }
        let is_network = text.matches('/').count() == 1;
        if let Ok(prefix) = address::interface(text) {
            return Some(Self { prefix, is_network });
        }
        let (number, length) = text.split_once('/')?;
        let number = u128::try_from(python_int(number)?).ok()?;
        let length = u8::try_from(python_int(length)?).ok()?;
        let ip = [Version::V4, Version::V6]
            .into_iter()
            .filter(|version| length <= version.bits())
            .find_map(|version| Ip::new(version, number))?;
        Some(Self {
            prefix: Prefix { ip, length },
            is_network: true,
        })
    }

    pub(super) fn ip(self) -> Ip {
        self.prefix.ip
    }

    pub(super) fn version(self) -> Version {
        self.prefix.ip.version
    }

    /// How many addresses it has; the most that fit for all of IPv6.
    pub(super) fn size(self) -> u128 {
        self.prefix.size().unwrap_or(u128::MAX)
    }

    pub(super) fn has_host_bits(self) -> bool {
        self.prefix.network().ip != self.prefix.ip
    }

    /// Whether it is the address of a host: one address, or one with bits of a host.
    pub(super) fn is_address(self) -> bool {
        self.size() == 1 || self.has_host_bits()
    }

    /// The last address, except of networks of one or two addresses.
    pub(super) fn broadcast(self) -> Option<Ip> {
        (self.size() > 2).then(|| self.prefix.last())
    }

    /// The first and last address that hosts can have; nothing for one address.
    pub(super) fn usable(self) -> Option<(Ip, Ip)> {
        let (first, last) = (self.prefix.first(), self.prefix.last());
        match self.size() {
            1 => None,
            2 => Some((first, last)),
            _ => Some((first.plus(1)?, last.plus(-1)?)),
        }
    }

    /// The address with the length of its prefix.
    pub(super) fn text(self) -> String {
        with_length(self.ip(), self.prefix.length)
    }
}

pub(super) fn with_length(ip: Ip, length: u8) -> String {
    format!("{}/{length}", text_of(ip))
}

/// An address as netaddr writes it: those of IPv6 that contain one of IPv4 end with its dots.
pub(super) fn text_of(ip: Ip) -> String {
    if ip.version == Version::V4 {
        return ip.to_string();
    }
    let v6 = Ipv6Addr::from_bits(ip.number);
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            format!("::{a}.{b}.{c}.{d}")
        }
        _ => v6.to_string(),
    }
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the mask of an address has the bits of a netmask, or those of a hostmask.
pub(super) fn is_mask(ip: Ip) -> bool {
    let is_power = |number: Option<u128>| number.is_none_or(|number| number & number.wrapping_sub(1) == 0);
    let inverted = ip.version.largest() & !ip.number;
    is_power(inverted.checked_add(1)) || is_power(ip.number.checked_add(1))
}
