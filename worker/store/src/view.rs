use lockstep_protocol::GroupName;
use lockstep_protocol::rest::{CauseView, DeviceView};

use super::DeviceRow;

/// How many open causes a device keeps: the newest.
pub(super) const OPEN_CAUSES: usize = 32;

impl DeviceRow {
    /// The device as others see it.
    pub(super) fn view(self, id: i64, groups: Vec<GroupName>, causes: Vec<CauseView>) -> DeviceView {
        let synchronized = self.sync.synchronized();
        DeviceView {
            id,
            hostname: self.hostname,
            device_type: self.attributes.device_type,
            platform: self.attributes.platform,
            state: self.lifecycle.state,
            note: self.lifecycle.note,
            until: self.lifecycle.until,
            synchronized,
            unsynchronized_since: self.sync.since,
            desired_generation: self.sync.desired,
            synced_generation: self.sync.synced,
            management_ip: self.attributes.management_ip,
            mac: self.attributes.mac,
            serial: self.attributes.serial,
            vendor: self.attributes.vendor,
            model: self.attributes.model,
            os_version: self.attributes.os_version,
            groups,
            causes,
        }
    }
}
