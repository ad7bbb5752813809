//! Which device may have a hostname, a MAC address and a serial number. No two devices share one, and hostnames that differ only in
//! upper and lower case are one name, as in DNS. Several devices may have the same management address.

use std::collections::HashMap;

use lockstep_protocol::{Hostname, Mac, Serial};
use lockstep_store::Facts;

/// What the devices of one message claim, beside what the facts say.
#[derive(Debug)]
pub(super) struct DeviceIdentities<'a> {
    facts: &'a Facts,
    hostnames: HashMap<String, &'a Hostname>,
    macs: HashMap<&'a Mac, &'a Hostname>,
    serials: HashMap<&'a Serial, &'a Hostname>,
}

/// Why a device may not have what it claims.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IdentityConflict {
    /// The field of the claim.
    pub(super) field: &'static str,
    pub(super) reason: String,
}

impl<'a> DeviceIdentities<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            hostnames: HashMap::new(),
            macs: HashMap::new(),
            serials: HashMap::new(),
        }
    }

    /// Gives a device what it claims: all of it, or nothing.
    pub(super) fn claim(
        &mut self,
        hostname: &'a Hostname,
        mac: Option<&'a Mac>,
        serial: Option<&'a Serial>,
    ) -> Result<(), IdentityConflict> {
        if let Some(spelling) = self.spelling_of(hostname) {
            return Err(IdentityConflict {
                field: "hostname",
                reason: format!(
                    "{hostname} cannot be a device, because it differs from {spelling} only in upper and lower case; write {spelling}"
                ),
            });
        }
        let conflict = |field, what: String, owner: &Hostname| IdentityConflict {
            field,
            reason: format!("{hostname} cannot have the {what}, because it belongs to {owner}"),
        };
        let mac_owner = mac.and_then(|mac| {
            let owner = self
                .macs
                .get(mac)
                .copied()
                .or_else(|| self.facts.owner_of_mac(mac))?;
            (owner != hostname).then(|| conflict("mac", format!("MAC address {mac}"), owner))
        });
        let serial_owner = serial.and_then(|serial| {
            let owner = self.serials.get(serial).copied();
            let owner = owner.or_else(|| self.facts.owner_of_serial(serial))?;
            let what = format!("serial number {}", serial.as_str());
            (owner != hostname).then(|| conflict("serial", what, owner))
        });
        if let Some(conflict) = mac_owner.or(serial_owner) {
            return Err(conflict);
        }
        self.hostnames.insert(hostname.folded(), hostname);
        self.macs.extend(mac.map(|mac| (mac, hostname)));
        self.serials.extend(serial.map(|serial| (serial, hostname)));
        Ok(())
    }

    /// The device that has this hostname in another spelling. A device that exists keeps its name.
    fn spelling_of(&self, hostname: &Hostname) -> Option<&Hostname> {
        if self.facts.device(hostname).is_some() {
            return None;
        }
        let claimed = self.hostnames.get(&hostname.folded()).copied();
        claimed.or_else(|| self.facts.spelling_of(hostname))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{device, facts, hostname};
    use super::*;

    fn mac(number: u32) -> Mac {
        format!("444ca8{number:06}").try_into().unwrap()
    }

    fn serial(number: u32) -> Serial {
        format!("S{number}").try_into().unwrap()
    }

    #[test]
    fn what_belongs_to_a_device_is_no_other_devices() {
        let mut facts = facts([device("old1", |row| {
            row.attributes.mac = Some(mac(1));
            row.attributes.serial = Some(serial(1));
            row.attributes.management_ip = Some("192.0.2.1".parse().unwrap());
        })]);
        facts.add_spelling(hostname("old1"));
        let table = [
            // hostname, number of the MAC address, of the serial number; the field and the reason of the conflict
            ("new1", Some(2), Some(2), None),
            ("old1", Some(1), Some(1), None),
            ("old1", Some(3), Some(3), None),
            ("new1", None, None, None),
            (
                "new1",
                Some(1),
                None,
                Some((
                    "mac",
                    "new1 cannot have the MAC address 44:4c:a8:00:00:01, because it belongs to old1",
                )),
            ),
            (
                "new1",
                Some(2),
                Some(1),
                Some((
                    "serial",
                    "new1 cannot have the serial number S1, because it belongs to old1",
                )),
            ),
            (
                "OLD1",
                None,
                None,
                Some((
                    "hostname",
                    "OLD1 cannot be a device, because it differs from old1 only in upper and lower case; write old1",
                )),
            ),
        ];
        for (name, mac_number, serial_number, expected) in table {
            let (name, mac, serial) = (hostname(name), mac_number.map(mac), serial_number.map(serial));
            let claimed = DeviceIdentities::new(&facts).claim(&name, mac.as_ref(), serial.as_ref());
            let expected = expected.map(|(field, reason)| IdentityConflict {
                field,
                reason: reason.to_owned(),
            });
            assert_eq!(claimed.err(), expected, "{name} {mac:?} {serial:?}");
        }
    }

    #[test]
    fn a_device_without_all_that_it_claims_has_none_of_it() {
        let (first, second, third) = (hostname("a1"), hostname("a2"), hostname("A1"));
        let (macs, serials) = ([mac(1), mac(2)], [serial(1), serial(2)]);
        let facts = facts([]);
        let mut identities = DeviceIdentities::new(&facts);
        assert_eq!(
            identities.claim(&first, Some(&macs[0]), Some(&serials[0])),
            Ok(())
        );
        let second_conflict = identities.claim(&second, Some(&macs[1]), Some(&serials[0]));
        assert_eq!(second_conflict.unwrap_err().field, "serial");
        assert_eq!(
            identities.claim(&third, None, None).unwrap_err().field,
            "hostname"
        );
        let fourth = hostname("a4");
        assert_eq!(
            identities.claim(&fourth, Some(&macs[1]), Some(&serials[1])),
            Ok(())
        );
    }
}
