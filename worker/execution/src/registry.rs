use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Provider;

/// The providers of a process, by name.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn Provider>>);

impl Registry {
    /// Adds a provider. It replaces one with the same name.
    #[must_use]
    pub fn with(mut self, provider: impl Provider) -> Self {
        self.0.insert(provider.properties().name, Arc::new(provider));
        self
    }

    /// The provider with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.0.get(name)
    }

    /// All providers, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.0.values()
    }
}
