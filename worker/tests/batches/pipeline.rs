//! Two batches wait for their confirms at a time; they begin and are acknowledged in their order.

use anyhow::{Result, ensure};
use lockstep_bus::PublishError;
use lockstep_protocol::Envelope;
use lockstep_testbed::wait;

use crate::scene::{Ground, PATIENCE, Scene, id, update};

/// Batches of one message each.
struct Held {
    scene: Scene,
    ids: Vec<Vec<String>>,
}

impl Held {
    /// Publishes so many messages to a worker whose results are not confirmed.
    async fn new(count: usize) -> Result<Self> {
        let scene = Scene::new(Ground::Sqlite).await?;
        let messages: Vec<Envelope> = (0..count).map(update).collect();
        scene.publish(&messages).await?;
        scene.bus.hold();
        let ids = messages.iter().map(|message| vec![id(message)]).collect();
        Ok(Self { scene, ids })
    }

    /// Waits until the results of so many batches were handed to the bus, in order.
    async fn handed_over(&self, count: usize) -> Result<()> {
        let held = wait::until("batches at their confirms", PATIENCE, async || {
            let held = self.scene.bus.held();
            if held == self.ids[..count] {
                Ok(())
            } else {
                Err(format!("{held:?}"))
            }
        });
        Ok(held.await?)
    }

    async fn committed(&self, count: i64) -> Result<()> {
        let committed = wait::until("committed batches", PATIENCE, async || {
            let flags = self.scene.flags().await.map_err(|error| error.to_string())?;
            let flagged: i64 = flags.iter().sum();
            if flagged == count {
                Ok(())
            } else {
                Err(format!("{flagged}"))
            }
        });
        Ok(committed.await?)
    }

    async fn acknowledged(&self, count: usize) -> Result<()> {
        let acknowledged = wait::until("acknowledged batches", PATIENCE, async || {
            let acknowledged = self.scene.bus.acknowledged();
            let expected = &self.ids[..count];
            if acknowledged.ends_with(expected) {
                Ok(())
            } else {
                Err(format!("{acknowledged:?}"))
            }
        });
        Ok(acknowledged.await?)
    }

    fn nothing_is_acknowledged(&self) -> Result<()> {
        let acknowledged = self.scene.bus.acknowledged();
        let ours = acknowledged.iter().filter(|batch| self.ids.contains(batch));
        ensure!(ours.count() == 0, "{acknowledged:?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_batches_wait_at_a_time_and_the_next_ones_commit() -> Result<()> {
    let held = Held::new(6).await?;
    let worker = held.scene.worker(1);
    held.handed_over(2).await?;
    // The third one waits behind its commit; the fourth one does not begin.
    held.committed(3).await?;
    assert_eq!(held.scene.bus.held().len(), 2);
    assert_eq!(held.scene.store.take_begun().len(), 3);

    held.scene.bus.answer(0, Ok(()));
    held.handed_over(3).await?;
    for batch in 1..6 {
        held.handed_over((batch + 2).min(6)).await?;
        held.scene.bus.answer(batch, Ok(()));
    }
    held.acknowledged(6).await?;
    worker.stop().await?;
    held.scene.left(0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_not_acknowledged_before_the_one_before_it() -> Result<()> {
    let held = Held::new(2).await?;
    let worker = held.scene.worker(1);
    held.handed_over(2).await?;
    held.scene.bus.answer(1, Ok(()));
    held.scene.results(1).await?;
    held.nothing_is_acknowledged()?;
    held.scene.bus.answer(0, Ok(()));
    held.acknowledged(2).await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_behind_one_that_cannot_be_published_is_not_acknowledged() -> Result<()> {
    let held = Held::new(2).await?;
    let worker = held.scene.worker(1);
    held.handed_over(2).await?;
    held.scene.bus.answer(1, Ok(()));
    held.scene.results(1).await?;
    // As if the bus were closed: the lane ends, and both messages are still there.
    worker.stop.cancel();
    held.scene.bus.answer(0, Err(PublishError::Closed));
    worker.ended().await?;
    held.nothing_is_acknowledged()?;
    held.scene.left(2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_and_acknowledges_what_was_taken() -> Result<()> {
    let held = Held::new(6).await?;
    let worker = held.scene.worker(1);
    held.handed_over(2).await?;
    held.committed(3).await?;
    worker.stop.cancel();
    held.scene.bus.answer(1, Ok(()));
    held.scene.bus.answer(0, Ok(()));
    held.handed_over(3).await?;
    held.scene.bus.answer(2, Ok(()));
    worker.ended().await?;
    held.acknowledged(3).await?;
    assert_eq!(held.scene.flags().await?.iter().sum::<i64>(), 3);
    held.scene.left(3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_batches_return_to_the_queue() -> Result<()> {
    let held = Held::new(6).await?;
    let worker = held.scene.worker(1);
    held.handed_over(2).await?;
    worker.stop.cancel();
    worker.abandon.cancel();
    worker.ended().await?;
    held.nothing_is_acknowledged()?;
    held.scene.left(6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_worker_that_waits_for_messages_ends() -> Result<()> {
    let scene = Scene::new(Ground::Sqlite).await?;
    let worker = scene.worker(1);
    worker.abandon.cancel();
    worker.ended().await
}
