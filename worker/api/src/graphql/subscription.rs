use std::sync::Arc;

use async_graphql::{Context, ID, Result, SimpleObject, Subscription as SubscriptionRoot};
use futures_util::{Stream, StreamExt, stream};
use lockstep_http::{Operator, ReadScope};
use lockstep_store::ExecutionRow;

use super::error::{self, CallError};
use super::execution::Execution;
use super::progress::Progress;
use super::reference;
use crate::context::Shared;

/// What can be listened to.
#[derive(Debug)]
pub(crate) struct Subscription;

/// The progress of an execution.
#[derive(Debug, SimpleObject)]
pub(crate) struct ExecutionSubscription {
    /// The execution as it is now.
    execution: Execution,
}

#[SubscriptionRoot]
impl Subscription {
    /// The execution with this number or id, at once and after each change of its state or its counts, until it ended.
    async fn execution(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<impl Stream<Item = Result<Execution>> + use<>> {
        Ok(listen(context, &id).await?.map(|row| row.map(Execution)))
    }

    /// The same in the form of neops.
    async fn execution_subscription(
        &self,
        context: &Context<'_>,
        id: ID,
    ) -> Result<impl Stream<Item = Result<ExecutionSubscription>> + use<>> {
        let rows = listen(context, &id).await?;
        Ok(rows.map(|row| {
            row.map(|row| ExecutionSubscription {
                execution: Execution(row),
            })
        }))
    }
}

/// The rows of an execution, one for each change that is seen.
async fn listen(
    context: &Context<'_>,
    id: &ID,
) -> Result<impl Stream<Item = Result<ExecutionRow>> + Send + use<>> {
    let shared = context.data_unchecked::<Arc<Shared>>();
    let operator = context.data_unchecked::<Operator>();
    operator.may_read(ReadScope::Executions).map_err(error::of)?;
    let row = reference::execution(shared, id).await?;
    let receiver = (!row.state.is_final()).then(|| shared.streams.watches.listen(shared, row.clone()));
    let before = Progress::Row(Box::new(row.clone()));
    let changes = stream::unfold((receiver, before), |(receiver, before)| async move {
        let mut receiver = receiver?;
        loop {
            // The first may be newer than what was read here.
            let now = receiver.borrow_and_update().clone();
            if now != before {
                let rest = (!now.is_last()).then_some(receiver);
                let item = match &now {
                    Progress::Row(row) => Ok((**row).clone()),
                    Progress::Gone => Err(gone()),
                };
                return Some((item, (rest, now)));
            }
            receiver.changed().await.ok()?;
        }
    });
    Ok(stream::once(std::future::ready(Ok(row))).chain(changes))
}

fn gone() -> async_graphql::Error {
    CallError::new("unknown-execution", "the execution was deleted").into()
}
