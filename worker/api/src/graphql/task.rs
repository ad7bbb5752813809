use async_graphql::{ID, Object};

/// A provider with arguments, under a unique name.
#[derive(Debug)]
pub(crate) struct NeopsTask {
    pub(super) number: u64,
    pub(super) name: String,
}

#[Object]
impl NeopsTask {
    /// Its stable number.
    async fn id(&self) -> ID {
        self.number.into()
    }

    /// Its unique name.
    async fn name(&self) -> &str {
        &self.name
    }
}
