use std::sync::Arc;

use async_graphql::Object;
use lockstep_store::CauseRow;

use super::date_time::DateTime;

/// Why devices stopped being synchronized.
#[derive(Debug)]
pub(crate) struct Cause(pub(super) Arc<CauseRow>);

#[Object]
impl Cause {
    /// The reason, such as `interface_updated`.
    async fn cause(&self) -> &str {
        &self.0.cause
    }

    /// The type of the message that caused it.
    async fn event(&self) -> &str {
        &self.0.kind
    }

    /// The `source` of that message.
    async fn source(&self) -> &str {
        self.0.identity.source.as_str()
    }

    /// The `id` of that message.
    async fn id(&self) -> &str {
        self.0.identity.id.as_str()
    }

    /// When the message was applied.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// The authenticated sender of that message.
    async fn by(&self) -> Option<&str> {
        self.0.actor.as_deref()
    }

    /// The note of the operator who sent it.
    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }
}
