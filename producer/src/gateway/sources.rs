use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockstep_dcim::{MappingRules, System};

use super::Secrets;

/// The instances of NetBox and Nautobot whose webhooks are accepted, by their names in the configuration.
#[derive(Clone, Debug, Default)]
pub struct InventorySources(BTreeMap<String, Arc<InventorySource>>);

/// An instance of NetBox or Nautobot.
#[derive(Clone, Debug)]
pub struct InventorySource {
    /// Which of the two it is.
    pub system: System,
    /// The secrets that sign its webhooks.
    pub secrets: Secrets,
    /// How its objects become devices; they contain its name.
    pub rules: MappingRules,
    /// Older webhooks are ignored: whoever has seen one cannot use it for ever, and the poll takes over changes of this age.
    pub max_age: Duration,
}

impl FromIterator<InventorySource> for InventorySources {
    fn from_iter<I: IntoIterator<Item = InventorySource>>(sources: I) -> Self {
        let entry = |source: InventorySource| (source.rules.source.clone(), Arc::new(source));
        Self(sources.into_iter().map(entry).collect())
    }
}

impl InventorySources {
    /// The source with this name, if it is such a system.
    pub(super) fn find(&self, system: System, name: &str) -> Option<Arc<InventorySource>> {
        self.0.get(name).filter(|source| source.system == system).cloned()
    }
}
