use lockstep_execution::{StepFailure, or_empty};
use lockstep_protocol::CommitId;
use lockstep_protocol::commands::SyncAction;
use serde::Deserialize;
use serde_json::Value;

/// The arguments of an execution. The command `lockstep.sync.requested` has the same fields; those that are not read are for people: what
/// an element is bound to is in the store.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Arguments {
    /// What to do.
    #[serde(default)]
    pub(crate) action: SyncAction,
    /// Whether changes from outside are overwritten.
    #[serde(default)]
    pub(crate) force: bool,
    /// The commit to render from.
    #[serde(default)]
    pub(crate) commit: Option<CommitId>,
    /// The session to abort.
    #[serde(default)]
    pub(crate) session: Option<String>,
}

impl Arguments {
    /// Reads arguments that are valid by their schema.
    pub(crate) fn read(arguments: &Value) -> Result<Self, StepFailure> {
        let read = Self::deserialize(or_empty(arguments).as_ref());
        read.map_err(|error| StepFailure::new("invalid-arguments", error.to_string()))
    }
}
