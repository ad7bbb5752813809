use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::filters) enum Version {
    V4,
    V6,
}

impl Version {
    /// The bits of an address.
    pub(in crate::filters) fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    pub(in crate::filters) fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// The mask of a prefix of this length.
    pub(in crate::filters) fn mask(self, length: u8) -> u128 {
        let all = u128::MAX >> (128 - self.bits());
        all & !all.checked_shr(u32::from(length)).unwrap_or(0)
    }

    /// The largest address.
    pub(in crate::filters) fn largest(self) -> u128 {
        self.mask(self.bits())
    }
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::filters) struct Ip {
    pub(in crate::filters) version: Version,
    pub(in crate::filters) number: u128,
}

impl Ip {
    /// An address of a number that it has room for.
    pub(in crate::filters) fn new(version: Version, number: u128) -> Option<Self> {
        (number <= version.largest()).then_some(Self { version, number })
    }

    /// Another address of the same version.
    pub(super) fn with(self, number: u128) -> Self {
        Self {
            version: self.version,
            number,
        }
    }

    /// The address so much further, or nearer if that is negative.
    pub(in crate::filters) fn plus(self, count: i128) -> Option<Self> {
        let number = self.number.checked_add_signed(count)?;
        Self::new(self.version, number)
    }

    /// The groups of an IPv6 address.
    fn segments(self) -> [u16; 8] {
        Ipv6Addr::from_bits(self.number).segments()
    }

    /// All digits.
    pub(in crate::filters) fn exploded(self) -> String {
        match self.version {
            Version::V4 => self.to_string(),
            Version::V6 => self.segments().map(|segment| format!("{segment:04x}")).join(":"),
        }
    }

    /// The bytes, in network order.
    pub(in crate::filters) fn packed(self) -> Vec<u8> {
        let bytes = self.number.to_be_bytes();
        match self.version {
            Version::V4 => bytes[12..].to_vec(),
            Version::V6 => bytes.to_vec(),
        }
    }

    /// The name for a reverse look-up.
    pub(in crate::filters) fn reverse_pointer(self) -> String {
        match self.version {
            Version::V4 => {
                let [a, b, c, d] = v4(self).octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            Version::V6 => {
                let digits = format!("{:032x}", self.number);
                let reversed: Vec<String> = digits.chars().rev().map(String::from).collect();
                format!("{}.ip6.arpa", reversed.join("."))
            }
        }
    }
}

fn v4(ip: Ip) -> Ipv4Addr {
    // An address of version 4 has 32 bits.
    Ipv4Addr::from_bits(u32::try_from(ip.number).unwrap_or(u32::MAX))
}

impl fmt::Display for Ip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Version::V4 => v4(*self).fmt(formatter),
            // Python writes these in hexadecimal digits.
            Version::V6 if self.number >> 32 == 0xffff => {
                write!(
                    formatter,
                    "::ffff:{:x}:{:x}",
                    self.number >> 16 & 0xffff,
                    self.number & 0xffff
                )
            }
            Version::V6 => Ipv6Addr::from_bits(self.number).fmt(formatter),
        }
    }
}
