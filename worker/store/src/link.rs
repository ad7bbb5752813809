use lockstep_protocol::{Hostname, InterfaceName};

use super::Version;

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkEnd {
    /// The hostname of the device.
    pub hostname: Hostname,
    /// The interface of the device.
    pub interface: InterfaceName,
}

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
        let rename = |mut end: LinkEnd| {
            if end.hostname == *from {
                end.hostname = to.clone();
            }
            end
        };
        Self::between(rename(self.a), rename(self.b))
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
    /// Whether the batch changed it.
    pub changed: bool,
}
