use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use lockstep_http::{Operator, ReadScope};
use lockstep_store::ExecutionReference;

use super::error;
use super::execution::Execution;
use crate::context::Shared;

/// What can be read.
#[derive(Debug)]
pub(crate) struct Query;

#[Object]
impl Query {
    /// The execution with this number.
    async fn execution(&self, context: &Context<'_>, id: ID) -> Result<Option<Execution>> {
        let shared = context.data_unchecked::<Arc<Shared>>();
        context
            .data_unchecked::<Operator>()
            .may_read(ReadScope::Executions)
            .map_err(error::of)?;
        let Ok(number) = id.parse() else {
            return Ok(None);
        };
        let reference = ExecutionReference::Number(number);
        let row = shared.context.executions.execution(&reference).await;
        Ok(row.map_err(error::of_store)?.map(Execution))
    }
}
