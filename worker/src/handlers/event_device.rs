//! Finds the device that an event is about. An event is a fact that was true when it happened, so it follows the device when that was
//! renamed since, and concerns nothing any more when the device was removed since. Commands name devices that exist.

use lockstep_protocol::Hostname;
use lockstep_store::{DeviceRow, Facts, Version};

use super::Rejection;

/// The device that an event of this version names; `None` if it was removed after the event.
///
/// # Errors
/// No device has the name, or had it when the event happened.
pub(super) fn device_of_event<'a>(
    hostname: &Hostname,
    version: &Version,
    facts: &'a Facts,
    place: impl Into<String>,
) -> Result<Option<&'a DeviceRow>, Rejection> {
    match facts.device_of_event(hostname) {
        Some(row) => Ok(Some(row)),
        None if was_removed_after(hostname, version, facts) => Ok(None),
        None => Err(Rejection::unknown_device(hostname, facts, place)),
    }
}

/// Whether the device with this name was removed after this version. A device that has the name now is another one.
pub(super) fn was_removed_after(hostname: &Hostname, version: &Version, facts: &Facts) -> bool {
    let former = facts.former_hostname(hostname);
    facts.device_of_event(hostname).is_none() && former.is_some_and(|former| former.version >= *version)
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::Code;
    use lockstep_store::FormerHostname;

    use super::super::fixtures::{device, facts, hostname, version};
    use super::*;

    #[test]
    fn an_event_follows_a_renamed_device_and_is_too_late_for_a_removed_one() {
        let mut facts = facts([device("sw2", |_| ())]);
        let former = |name: &str, current: Option<&str>| FormerHostname {
            hostname: hostname(name),
            current: current.map(hostname),
            version: version(20),
        };
        facts.add_former_hostname(former("sw1", Some("sw2")));
        facts.add_former_hostname(former("gone1", None));
        let table = [
            // name, second of the event, device
            ("sw2", 10, Ok(Some("sw2"))),
            ("sw1", 10, Ok(Some("sw2"))),
            ("sw1", 30, Ok(Some("sw2"))),
            ("gone1", 10, Ok(None)),
            ("gone1", 20, Ok(None)),
            ("gone1", 30, Err("gone1 was removed")),
            ("sw9", 10, Err("no device is named sw9")),
        ];
        for (name, second, expected) in table {
            let found = device_of_event(&hostname(name), &version(second), &facts, "$.data.hostname");
            match (found, expected) {
                (Ok(row), Ok(expected)) => {
                    assert_eq!(
                        row.map(|row| row.hostname.as_str()),
                        expected,
                        "{name} at {second}"
                    );
                }
                (Err(rejection), Err(reason)) => {
                    assert_eq!(rejection.code, Code::UnknownDevice);
                    assert_eq!(rejection.place, "$.data.hostname");
                    assert!(rejection.reason.contains(reason), "{}", rejection.reason);
                }
                (found, _) => panic!("{name} at {second}: {found:?}"),
            }
        }
    }
}
