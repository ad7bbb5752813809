use std::sync::Arc;

use lockstep_protocol::RepositoryName;

use lockstep_git::Mirror;
use lockstep_intent::RepositoryKind;
use lockstep_intent::fleet::DeviceTypes;

/// A configured repository.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it contains; also its name in messages.
    pub kind: RepositoryKind,
    /// The clone of its branch.
    pub mirror: Mirror,
    /// The device types of the site.
    pub types: Arc<DeviceTypes>,
}

impl Source {
    /// The name of the repository in messages and in the store.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the names of kinds are valid names of repositories"
    )]
    pub fn name(&self) -> RepositoryName {
        let name = RepositoryName::try_from(self.kind.as_str().to_owned());
        name.expect("the names of kinds are valid names of repositories")
    }
}
