use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use lockstep_simulators::fleet::{FleetSimulator, ForeignSession};

/// A configuration session of somebody else on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    hostname: String,
    session: String,
}

impl FromStr for Foreign {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=');
        let parts = parts.filter(|(hostname, session)| {
            !hostname.is_empty() && !session.is_empty() && !session.contains(char::is_whitespace)
        });
        let (hostname, session) =
            parts.ok_or_else(|| "not HOST=NAME, such as leaf00002=friday".to_owned())?;
        Ok(Self {
            hostname: hostname.to_owned(),
            session: session.to_owned(),
        })
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "alice has a configuration session {:?} on {}",
            self.session, self.hostname
        )
    }
}

impl Foreign {
    /// Opens the session on the device with this name.
    pub(super) fn open(&self, fleet: &FleetSimulator) -> anyhow::Result<()> {
        let mut devices = 0..fleet.addresses().len();
        let device = devices.find(|&index| fleet.edit(index, |device| device.hostname == self.hostname));
        let device = device.with_context(|| format!("there is no device {:?}", self.hostname))?;
        fleet
            .open_session(device, &ForeignSession::new(&self.session))
            .with_context(|| format!("{} refuses the session", self.hostname))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_given_with_its_device() {
        let table = [
            ("leaf00002=friday", true),
            ("leaf00002", false),
            ("=friday", false),
            ("leaf00002=", false),
            ("leaf00002=two words", false),
        ];
        for (text, expected) in table {
            assert_eq!(Foreign::from_str(text).is_ok(), expected, "{text}");
        }
    }
}
