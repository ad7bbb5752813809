use lockstep_api::SyncRules;
use lockstep_intent::fleet::transitions::{TRANSITIONS, Transition};
use lockstep_intent::fleet::{DeviceTypes, selects};
use lockstep_protocol::rest::RuleView;
use lockstep_protocol::{DeviceState, DeviceType, SyncTarget};

/// The rules of sync runs, with the device types of the site.
#[derive(Debug)]
pub(super) struct SiteSyncRules(pub(super) DeviceTypes);

impl SyncRules for SiteSyncRules {
    fn selects(
        &self,
        target: &SyncTarget,
        resync: bool,
        state: DeviceState,
        synchronized: bool,
    ) -> Result<(), String> {
        selects(target, resync, state, synchronized).map_err(|reason| reason.to_string())
    }

    fn rules(&self, kind: &str, cause: &str) -> Vec<RuleView> {
        let leads_to = |rule: &&Transition| {
            rule.kinds.iter().any(|known| known.as_str() == kind)
                && rule.effect.cause().is_some_and(|known| known.as_str() == cause)
        };
        let rules = TRANSITIONS.iter().filter(leads_to);
        let view = |rule: &Transition| RuleView {
            event: rule.event.to_owned(),
            devices: rule.devices.to_owned(),
        };
        rules.map(view).collect()
    }

    fn knows(&self, device_type: &DeviceType) -> Result<(), String> {
        if self.0.contains(device_type) {
            return Ok(());
        }
        let names: Vec<&str> = self.0.names().collect();
        Err(names.join(", "))
    }
}
