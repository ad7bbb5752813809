use lockstep_protocol::{Hostname, InterfaceAddress, InterfaceName};

use super::Version;

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkEnd {
    /// The hostname of the device.
    pub hostname: Hostname,
    /// The interface of the device.
    pub interface: InterfaceName,
}

impl LinkEnd {
    /// The end after a device was renamed.
    pub(crate) fn renamed(mut self, from: &Hostname, to: &Hostname) -> Self {
        if self.hostname == *from {
            self.hostname = to.clone();
        }
        self
    }
}

/// The addresses of both ends of a link, in the order of [`Link::ends`].
pub type LinkAddresses = [Option<InterfaceAddress>; 2];

/// A link between two devices: the smaller end first, so that a link and its mirror image are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    a: LinkEnd,
    b: LinkEnd,
}

impl Link {
    /// The link between two ends, in either order.
    pub fn between(one: LinkEnd, other: LinkEnd) -> Self {
        if one <= other {
            Self { a: one, b: other }
        } else {
            Self { a: other, b: one }
        }
    }

    /// The link between two ends with these addresses, and the addresses in the order of its [`ends`](Self::ends).
    pub fn with_addresses(
        one: (LinkEnd, Option<InterfaceAddress>),
        other: (LinkEnd, Option<InterfaceAddress>),
    ) -> (Self, LinkAddresses) {
        let (first, second) = if one.0 <= other.0 {
            (one, other)
        } else {
            (other, one)
        };
        (
            Self {
                a: first.0,
                b: second.0,
            },
            [first.1, second.1],
        )
    }

    /// The smaller end.
    pub fn a(&self) -> &LinkEnd {
        &self.a
    }

    /// The larger end.
    pub fn b(&self) -> &LinkEnd {
        &self.b
    }

    /// Both ends.
    pub fn ends(&self) -> [&LinkEnd; 2] {
        [&self.a, &self.b]
    }

    /// Whether one of its ends is on the device.
    pub fn touches(&self, hostname: &Hostname) -> bool {
        self.a.hostname == *hostname || self.b.hostname == *hostname
    }

    /// Whether it is another link and ends at the same interface: only one of both can exist.
    pub fn excludes(&self, other: &Self) -> bool {
        self != other && other.ends().iter().any(|end| self.ends().contains(end))
    }

    /// The link after a device was renamed.
    #[must_use]
    pub fn renamed(self, from: &Hostname, to: &Hostname) -> Self {
        Self::between(self.a.renamed(from, to), self.b.renamed(from, to))
    }
}

/// What a message does to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// The link.
    pub link: Link,
    /// Whether it exists afterwards.
    pub present: bool,
    /// The version of the message, if it has one.
    pub version: Option<Version>,
    /// The addresses of its ends. `None` leaves them as they are.
    pub addresses: Option<LinkAddresses>,
}

/// A link as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Whether it exists. A link that was removed is remembered for a while, with the version of that message.
    pub present: bool,
    /// The version of the newest message about it. `None` if no message with a version was.
    pub version: Option<Version>,
    /// The version of the newest message that added it, also if it was removed or replaced since. `None` if none had a version.
    pub added: Option<Version>,
    /// The addresses of its ends.
    pub addresses: LinkAddresses,
    /// The version of the newest message that set the addresses. `None` if none with a version did.
    pub addressed: Option<Version>,
    /// Whether the batch changed it.
    pub changed: bool,
}
