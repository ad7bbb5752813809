//! `lockstep.device.upgraded`: the `post_flight` step of an upgrade was performed. The device is flagged, whether its version changed
//! or not, and the version is stored (`docs/reference/sync-rules.md`).

use lockstep_protocol::Cause;
use lockstep_protocol::events::DeviceUpgraded;
use lockstep_protocol::results::{IgnoredReason, Scope};
use lockstep_store::{Attributes, DeviceEffect, Effects, Facts, Keys, Version};

use super::event_device::device_of_event;
use super::flagged::unsynchronize;
use super::{Decision, Handler, HandlerContext, Rejection};

impl Handler for DeviceUpgraded {
    fn keys(&self, keys: &mut Keys) {
        keys.add_device_of_event(&self.hostname);
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(self, &context.version(), facts)
    }
}

fn decide(event: &DeviceUpgraded, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    let Some(row) = device_of_event(&event.hostname, version, facts, "$.data.hostname")? else {
        return Ok(Decision::ignored(IgnoredReason::Older, event.hostname.clone()));
    };
    let hostname = &row.hostname;
    let mut effects = Effects::default();
    if event.os_version.is_some() && event.os_version != row.attributes.os_version {
        effects.devices.push(DeviceEffect::Describe {
            hostname: hostname.clone(),
            attributes: Attributes {
                os_version: event.os_version.clone(),
                ..row.attributes.clone()
            },
        });
    }
    effects
        .devices
        .push(unsynchronize(hostname, Cause::FirmwareUpgrade));
    // Another version may write the same configuration otherwise, which is no change from outside.
    effects.devices.push(DeviceEffect::ForgetConfiguration {
        hostname: hostname.clone(),
    });
    Ok(Decision::applied(effects, Scope::Device, [hostname.clone()]))
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{Code, DeviceState, Kind};
    use serde_json::json;

    use super::super::fixtures::{causes, device, facts, flips, hostname, message, process};
    use super::*;

    fn upgraded(os_version: Option<&str>) -> lockstep_protocol::Envelope {
        let data = json!({"hostname": "sw1", "os_version": os_version});
        message(Kind::DeviceUpgraded, 10, &data)
    }

    #[test]
    fn an_upgrade_flags_the_device_and_stores_its_version_whatever_its_state() {
        for state in DeviceState::ALL {
            let mut facts = facts([device("sw1", |row| row.lifecycle.state = *state)]);
            let (_, flipped) = process(&upgraded(Some("4.32.2F")), &mut facts).unwrap();
            assert_eq!(flipped, flips(&["sw1"]), "{state}");
            assert_eq!(causes(&facts, "sw1"), [Cause::FirmwareUpgrade]);
            let row = facts.device(&hostname("sw1")).unwrap();
            assert_eq!(row.attributes.os_version.as_deref(), Some("4.32.2F"));
        }
    }

    #[test]
    fn an_unchanged_or_unknown_version_flags_too() {
        for os_version in [Some("4.31.1F"), None] {
            let known = device("sw1", |row| {
                row.attributes.os_version = Some("4.31.1F".to_owned());
            });
            let mut facts = facts([known]);
            let (decision, flipped) = process(&upgraded(os_version), &mut facts).unwrap();
            assert_eq!(flipped, flips(&["sw1"]));
            let describes = |effect: &DeviceEffect| matches!(effect, DeviceEffect::Describe { .. });
            assert!(!decision.effects.devices.iter().any(describes));
            let row = facts.device(&hostname("sw1")).unwrap();
            assert_eq!(row.attributes.os_version.as_deref(), Some("4.31.1F"));
        }
    }

    #[test]
    fn an_upgrade_of_an_unknown_device_is_rejected() {
        let rejection = process(&upgraded(None), &mut facts([])).unwrap_err();
        assert_eq!(
            (rejection.code, rejection.place.as_str()),
            (Code::UnknownDevice, "$.data.hostname")
        );
    }
}
