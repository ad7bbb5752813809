//! The interface of claimants, which take over messages whose work goes on after they are acknowledged.

use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::{Envelope, Message};
use lockstep_store::StoreError;
use tokio_util::sync::CancellationToken;

/// Takes over messages: a transaction writes down that this worker does their work, then they are acknowledged, and the work goes on.
/// What a crash interrupts is found by the rows in the store, not by a redelivery.
#[async_trait]
pub trait Claimant: Debug + Send + Sync + 'static {
    /// Whether it takes over messages of this kind. Others are processed as in a batched lane.
    fn claims(&self, message: &Message) -> bool;

    /// How many messages it works on at once, at most.
    fn places(&self) -> usize;

    /// Waits until there is a free place, and returns how many there are.
    async fn free(&self) -> usize;

    /// Takes over these messages, at most as many as there are free places: when it returns, a transaction is committed that says
    /// what becomes of each. The same message twice, late or without a cause does no harm. A dropped future is finished nevertheless.
    ///
    /// # Errors
    /// See [`StoreError`]; the lane decides whether it tries again.
    async fn claim(&self, messages: &[&Envelope]) -> Result<(), StoreError>;

    /// Works on what was taken over. After `stop` it lets the work end soon, and returns when `no_more` has fired and all work has
    /// ended; on `abandon` it returns at once, and leaves the rest to other workers.
    async fn work(&self, stop: CancellationToken, no_more: CancellationToken, abandon: CancellationToken);
}
