//! What syncs found on devices.

use lockstep_http::ReadScope;
use lockstep_protocol::rest::{SyncConfigurationView, SyncDevicePage, SyncDeviceView};

use super::Document;

impl Document {
    pub(super) fn syncs(&mut self) {
        let parameters = [
            self.query::<u64>("after", "Only elements with a larger number."),
            self.limit(),
        ];
        self.get::<SyncDevicePage>(
            "/v1/executions/{execution}/devices",
            "list_sync_devices",
            "What a sync found on each device; empty for another execution",
            Some(ReadScope::DeviceOutput),
            &parameters,
        );
        self.get::<SyncDeviceView>(
            "/v1/executions/{execution}/devices/{hostname}",
            "sync_device",
            "What a sync found on one device",
            Some(ReadScope::DeviceOutput),
            &[],
        );
        self.get::<SyncConfigurationView>(
            "/v1/executions/{execution}/devices/{hostname}/configuration",
            "sync_configuration",
            "The whole difference, the rendered configuration and the one before the push, with their secrets",
            Some(ReadScope::Configurations),
            &[],
        );
    }
}
