//! Goes on with an execution after one transaction: skips what has not begun, chunk after chunk, and queues what waited for a stop.

use std::collections::BTreeSet;

use lockstep_execution::Event;
use lockstep_store::{CapScope, Keys, StoreError};

use super::advance::{Aftermath, CHUNK, advance};
use super::announce::Announcer;
use crate::runtime::{TransactionRetry, chain};

/// Looks what an execution still needs, until nothing is left to skip.
pub(super) async fn settle(announcer: &Announcer, execution: u64) {
    loop {
        match settle_once(announcer, execution).await {
            Ok(aftermath) => {
                let more = aftermath.more;
                announcer.announce_or_leave(announcer.of(aftermath)).await;
                if !more {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(
                    execution,
                    error = chain(&error),
                    "the periodic task goes on with an execution"
                );
                return;
            }
        }
    }
}

async fn settle_once(announcer: &Announcer, execution: u64) -> Result<Aftermath, StoreError> {
    let context = announcer.context();
    let mut retry = TransactionRetry::default();
    loop {
        let once = async {
            let (mut facts, mut transaction) = context.store.begin(&[], &Keys::default()).await?;
            let now = context.now(&facts);
            let mut aftermath = Aftermath::default();
            {
                let mut tx = transaction.executions();
                for mut row in tx.lock_numbers(&BTreeSet::from([execution])).await? {
                    let options = &context.options;
                    let grace = options.overdue_after;
                    let followed = advance(
                        &mut *tx,
                        &mut facts,
                        &mut row,
                        Event::Checked,
                        now,
                        options,
                        grace,
                    )
                    .await?;
                    aftermath.join(followed);
                }
            }
            transaction.commit(&facts).await?;
            Ok::<_, StoreError>(aftermath)
        };
        match once.await {
            Ok(aftermath) => return Ok(aftermath),
            Err(error) => tokio::time::sleep(retry.after_conflict(error)?).await,
        }
    }
}

/// Queues all elements that wait for the end of a stop.
pub(super) async fn release_stopped(announcer: &Announcer) {
    loop {
        match release(announcer, &CapScope::Stop, CHUNK).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "the periodic task queues what waited for the end of a stop"
                );
                return;
            }
        }
    }
}

/// Queues elements that wait for a scope, and publishes messages for them. Returns how many. Nothing is released while a stop lasts.
pub(super) async fn release(
    announcer: &Announcer,
    scope: &CapScope,
    limit: u32,
) -> Result<usize, StoreError> {
    let context = announcer.context();
    let mut retry = TransactionRetry::default();
    let queued = loop {
        let once = async {
            let (facts, mut transaction) = context.store.begin(&[], &Keys::default()).await?;
            let mut queued = Vec::new();
            {
                let mut tx = transaction.executions();
                if *scope != CapScope::Stop || tx.stop().await?.is_none() {
                    queued = tx.release(scope, limit, context.options.lease_time).await?;
                }
            }
            transaction.commit(&facts).await?;
            Ok::<_, StoreError>(queued)
        };
        match once.await {
            Ok(queued) => break queued,
            Err(error) => tokio::time::sleep(retry.after_conflict(error)?).await,
        }
    };
    let released = queued.len();
    let aftermath = Aftermath {
        queued,
        ..Aftermath::default()
    };
    announcer.announce_or_leave(announcer.of(aftermath)).await;
    Ok(released)
}
