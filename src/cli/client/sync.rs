//! What syncs planned and did.

use lockstep_protocol::rest::{SyncConfigurationView, SyncDevicePage, SyncDeviceView};

use super::Client;

impl Client {
    /// A page of the devices of a sync.
    ///
    /// # Errors
    /// If the execution does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn sync_devices(
        &self,
        execution: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<SyncDevicePage> {
        self.get(&["executions", execution, "devices"], query).await
    }

    /// One device of a sync.
    ///
    /// # Errors
    /// If the sync does not have it, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn sync_device(
        &self,
        execution: &str,
        hostname: &str,
    ) -> anyhow::Result<SyncDeviceView> {
        self.get(&["executions", execution, "devices", hostname], &[])
            .await
    }

    /// The whole texts of a device of a sync.
    ///
    /// # Errors
    /// If the sync does not have it, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn sync_configuration(
        &self,
        execution: &str,
        hostname: &str,
    ) -> anyhow::Result<SyncConfigurationView> {
        let path = ["executions", execution, "devices", hostname, "configuration"];
        self.get(&path, &[]).await
    }
}
