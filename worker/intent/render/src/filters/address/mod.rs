//! IP addresses, interfaces and networks as Python's `ipaddress` has them.

mod number;
mod parse;
mod registry;
mod value;

pub(super) use number::{Ip, Version};
pub(super) use parse::{address, interface, network, network_of_bits};
pub(super) use value::{Ipaddress, attribute, is_address, of, to_address, to_interface, to_network};
pub(crate) use value::{as_number, contains, is_network, repr};

/// A network, or an address with the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Prefix {
    /// The address; of a network the first.
    pub(super) ip: Ip,
    /// The length of the prefix.
    pub(super) length: u8,
}

impl Prefix {
    pub(super) fn netmask(self) -> Ip {
        self.ip.with(self.ip.version.mask(self.length))
    }

    pub(super) fn hostmask(self) -> Ip {
        let all = self.ip.version.mask(self.ip.version.bits());
        self.ip.with(all & !self.ip.version.mask(self.length))
    }

    /// The network that it is in.
    pub(super) fn network(self) -> Self {
        Self {
            ip: self.ip.with(self.ip.number & self.netmask().number),
            length: self.length,
        }
    }

    pub(super) fn first(self) -> Ip {
        self.network().ip
    }

    pub(super) fn last(self) -> Ip {
        self.ip.with(self.network().ip.number | self.hostmask().number)
    }

    /// How many addresses the network has; none for all of IPv6, which are one more than fit.
    pub(super) fn size(self) -> Option<u128> {
        1_u128.checked_shl(u32::from(self.ip.version.bits() - self.length))
    }

    /// An address of the network by its index, from its end if that is negative.
    pub(super) fn nth(self, index: i128) -> Option<Ip> {
        let (first, last) = (self.first().number, self.last().number);
        let number = match u128::try_from(index) {
            Ok(index) => first.checked_add(index)?,
            Err(_) => last.checked_sub(index.unsigned_abs() - 1)?,
        };
        (first..=last).contains(&number).then(|| self.ip.with(number))
    }

    pub(super) fn contains(self, ip: Ip) -> bool {
        ip.version == self.ip.version && (self.first()..=self.last()).contains(&ip)
    }

    pub(super) fn contains_network(self, other: Self) -> bool {
        self.contains(other.first()) && self.contains(other.last())
    }

    /// The hosts, as Python's `hosts()` has them: without the addresses of the network and of the broadcast, except in networks of
    /// one or two addresses; IPv6 has no broadcast.
    pub(super) fn hosts(self) -> (Ip, Ip) {
        let (first, last) = (self.first(), self.last());
        if self.length + 1 >= self.ip.version.bits() {
            return (first, last);
        }
        let end = match self.ip.version {
            Version::V4 => last.number - 1,
            Version::V6 => last.number,
        };
        (first.with(first.number + 1), first.with(end))
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.ip, self.length)
    }
}
