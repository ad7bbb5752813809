//! Groups, and the devices that a sync run would contact.

use lockstep_protocol::rest::{GroupDetail, GroupPage, SelectionPage};

use super::Client;

impl Client {
    /// A page of groups.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn groups(&self, query: &[(&str, String)]) -> anyhow::Result<GroupPage> {
        self.get(&["groups"], query).await
    }

    /// One group.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn group(&self, name: &str) -> anyhow::Result<GroupDetail> {
        self.get(&["groups", name], &[]).await
    }

    /// A page of the devices that a sync run is asked for.
    ///
    /// # Errors
    /// If the target does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn selection(&self, query: &[(&str, String)]) -> anyhow::Result<SelectionPage> {
        self.get(&["sync", "selection"], query).await
    }
}
