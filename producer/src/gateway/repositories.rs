use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_protocol::RepositoryName;

use super::Secrets;

/// The repositories whose webhooks are accepted, by their names in the configuration.
#[derive(Clone, Debug, Default)]
pub struct Repositories(BTreeMap<String, Arc<Repository>>);

/// A repository and its webhook secrets.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) name: RepositoryName,
    pub(super) secrets: Secrets,
}

impl FromIterator<(RepositoryName, Secrets)> for Repositories {
    fn from_iter<I: IntoIterator<Item = (RepositoryName, Secrets)>>(repositories: I) -> Self {
        let entry = |(name, secrets): (RepositoryName, Secrets)| {
            (name.to_string(), Arc::new(Repository { name, secrets }))
        };
        Self(repositories.into_iter().map(entry).collect())
    }
}

impl Repositories {
    pub(super) fn find(&self, name: &str) -> Option<Arc<Repository>> {
        self.0.get(name).cloned()
    }
}
