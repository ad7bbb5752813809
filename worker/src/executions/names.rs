//! Entities that a request names.

use std::collections::BTreeSet;

use lockstep_protocol::Code;
use lockstep_protocol::commands::{ExecuteOn, TaskRequested};
use lockstep_store::{ExecutionTransaction, StoreError};

use crate::handlers::Rejection;

/// The request with the ids of the entities that it names. The inner error: a name is unknown.
pub(super) async fn resolve(
    executions: &mut dyn ExecutionTransaction,
    request: &TaskRequested,
) -> Result<Result<TaskRequested, Rejection>, StoreError> {
    let (kind, names) = (request.execute_on_type, &request.execute_on_names);
    if names.is_empty() {
        return Ok(Ok(request.clone()));
    }
    let found = executions.named(kind, names).await?;
    if !found.unknown.is_empty() {
        return Ok(Err(unknown(kind, &found.unknown)));
    }
    let ids: BTreeSet<u64> = request.execute_on.iter().chain(&found.ids).copied().collect();
    Ok(Ok(TaskRequested {
        execute_on: ids.into_iter().collect(),
        execute_on_names: Vec::new(),
        ..request.clone()
    }))
}

fn unknown(kind: ExecuteOn, names: &[String]) -> Rejection {
    let reason = match kind {
        ExecuteOn::Global => "GLOBAL stands for the whole fleet, and has no names".to_owned(),
        kind => {
            let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            format!("no {kind} is named {}; nothing runs", names.join(", "))
        }
    };
    Rejection::new(Code::WrongEntity, "$.data.execute_on_names", reason)
}
