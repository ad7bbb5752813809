//! Which device may be the controller of another one: one that is known, is another one, and has no controller itself.

use std::collections::BTreeMap;

use lockstep_protocol::events::ImportedDevice;
use lockstep_protocol::{Code, Hostname};
use lockstep_store::Facts;

use super::Rejection;

/// The devices of one message, beside what the facts say.
#[derive(Debug)]
pub(super) struct DeviceControllers<'a> {
    facts: &'a Facts,
    devices: BTreeMap<&'a Hostname, &'a ImportedDevice>,
}

impl<'a> DeviceControllers<'a> {
    /// `devices` are those of the message that have their identity.
    pub(super) fn new(facts: &'a Facts, devices: impl Iterator<Item = &'a ImportedDevice>) -> Self {
        Self {
            facts,
            devices: devices.map(|device| (&device.hostname, device)).collect(),
        }
    }

    /// Checks the controller that a device names; `place` is where it does.
    pub(super) fn check(&self, device: &ImportedDevice, place: String) -> Result<(), Rejection> {
        let Some(controller) = &device.controller else {
            return Ok(());
        };
        let hostname = &device.hostname;
        if controller == hostname {
            let reason = format!("{hostname} cannot be its own controller; leave `controller` out");
            return Err(Rejection::new(Code::InvalidData, place, reason));
        }
        let stored = self.facts.device(controller);
        let imported = self.devices.get(controller);
        if stored.is_none() && imported.is_none() {
            return Err(Rejection::unknown_device(controller, self.facts, place));
        }
        let of_import = imported.and_then(|device| device.controller.as_ref());
        let above = of_import.or_else(|| stored?.attributes.controller.as_ref());
        if let Some(above) = above {
            let reason = format!(
                "{controller} cannot be the controller of {hostname}, because it has a controller itself, {above}; name {above}"
            );
            return Err(Rejection::new(Code::InvalidData, place, reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::{device, facts, hostname};
    use super::*;

    #[test]
    fn a_controller_is_another_device_that_has_none() {
        let facts = facts([
            device("wlc1", |_| ()),
            device("ap1", |row| row.attributes.controller = Some(hostname("wlc1"))),
        ]);
        let imported = |name: &str, controller: Option<&str>| -> ImportedDevice {
            let entry = json!({"hostname": name, "device_type": "ACCESS", "controller": controller});
            serde_json::from_value(entry).unwrap()
        };
        let devices = [imported("wlc2", None), imported("ap2", Some("wlc2"))];
        let controllers = DeviceControllers::new(&facts, devices.iter());
        for (controller, expected) in [
            (None, None),
            (Some("wlc1"), None),
            (Some("wlc2"), None),
            (
                Some("sw1"),
                Some((Code::InvalidData, "sw1 cannot be its own controller")),
            ),
            (
                Some("wlc9"),
                Some((Code::UnknownDevice, "no device is named wlc9")),
            ),
            (
                Some("ap1"),
                Some((
                    Code::InvalidData,
                    "ap1 cannot be the controller of sw1, because it has a controller itself, wlc1; name wlc1",
                )),
            ),
            (
                Some("ap2"),
                Some((
                    Code::InvalidData,
                    "ap2 cannot be the controller of sw1, because it has a controller itself, wlc2; name wlc2",
                )),
            ),
        ] {
            let checked = controllers.check(&imported("sw1", controller), "here".to_owned());
            match (checked, expected) {
                (Ok(()), None) => {}
                (Err(rejection), Some((code, reason))) => {
                    assert_eq!((rejection.code, rejection.place.as_str()), (code, "here"));
                    assert!(rejection.reason.starts_with(reason), "{}", rejection.reason);
                }
                (found, expected) => panic!("{controller:?}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
