//! While a batch is with the database, the next one is taken. However the first one ends, all messages take effect once, here or in
//! another worker.

use anyhow::Result;
use lockstep_protocol::Envelope;
use lockstep_testbed::wait;

use crate::scene::{Ground, PATIENCE, Scene, Worker, id, update};

/// One in the first batch, one that is taken ahead, and two that are not.
const MESSAGES: usize = 4;

/// Messages in the lane of a worker, and their ids.
struct Ahead {
    scene: Scene,
    messages: Vec<Envelope>,
    ids: Vec<String>,
}

impl Ahead {
    /// Batches of one message. The first one waits for its transaction, and the second one is taken.
    async fn new() -> Result<(Self, Worker)> {
        let ahead = Self::idle().await?;
        ahead.scene.store.hold();
        let worker = ahead.begin().await?;
        Ok((ahead, worker))
    }

    async fn idle() -> Result<Self> {
        let messages: Vec<Envelope> = (0..MESSAGES).map(update).collect();
        Ok(Self {
            scene: Scene::new(Ground::Sqlite).await?,
            ids: messages.iter().map(id).collect(),
            messages,
        })
    }

    async fn begin(&self) -> Result<Worker> {
        self.scene.publish(&self.messages).await?;
        let worker = self.scene.worker(1);
        self.taken_are(2).await?;
        assert_eq!(self.begun(), [1]);
        Ok(worker)
    }

    /// How many messages each transaction is for.
    fn begun(&self) -> Vec<usize> {
        let begun = self.scene.store.begun();
        begun.iter().map(|begun| begun.messages).collect()
    }

    /// The ids of our messages that were taken, in order.
    fn taken(&self) -> Vec<String> {
        self.ours(self.scene.bus.taken())
    }

    fn acknowledged(&self) -> Vec<String> {
        self.ours(self.scene.bus.acknowledged())
    }

    fn ours(&self, batches: Vec<Vec<String>>) -> Vec<String> {
        let ids = batches.into_iter().flatten();
        ids.filter(|id| self.ids.contains(id)).collect()
    }

    /// Waits until so many messages are taken.
    async fn taken_are(&self, count: usize) -> Result<()> {
        let taken = wait::until("messages that are taken", PATIENCE, async || {
            let taken = self.taken();
            if taken == self.ids[..count] {
                Ok(())
            } else {
                Err(format!("{taken:?}"))
            }
        });
        Ok(taken.await?)
    }

    /// Waits until every message took effect, once, and is acknowledged.
    async fn all_are_applied(&self) -> Result<()> {
        let applied = wait::until("acknowledged messages", PATIENCE, async || {
            let acknowledged = self.acknowledged();
            let is_done = self.ids.iter().all(|id| acknowledged.contains(id));
            is_done.then_some(()).ok_or(format!("{acknowledged:?}"))
        });
        applied.await?;
        let mut expected = [0; 8];
        expected[..MESSAGES].fill(1);
        assert_eq!(self.scene.flags().await?, expected);
        Ok(())
    }

    /// Another worker takes these messages, which are all that are left, in their order.
    async fn another_worker_takes(&self, left: &[String]) -> Result<()> {
        self.scene.left(u32::try_from(left.len())?).await?;
        let before = self.taken().len();
        let worker = self.scene.worker(100);
        self.all_are_applied().await?;
        worker.stop().await?;
        assert_eq!(self.taken()[before..], *left);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_batch_is_taken_ahead_and_begins_when_the_one_before_is_committed() -> Result<()> {
    let (ahead, worker) = Ahead::new().await?;
    assert_eq!(ahead.acknowledged(), [""; 0]);
    ahead.scene.store.release();
    ahead.all_are_applied().await?;
    worker.stop().await?;
    assert_eq!(ahead.begun(), [1; MESSAGES]);
    assert_eq!(ahead.acknowledged(), ahead.ids);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_taken_one_after_the_other_are_one_batch() -> Result<()> {
    let ahead = Ahead::idle().await?;
    ahead.scene.store.hold();
    let worker = ahead.scene.worker(MESSAGES);
    for (place, message) in ahead.messages.iter().enumerate() {
        ahead.scene.publish([message]).await?;
        ahead.taken_are(place + 1).await?;
    }
    ahead.scene.store.release();
    ahead.all_are_applied().await?;
    worker.stop().await?;
    assert_eq!(ahead.begun(), [1, MESSAGES - 1]);
    assert_eq!(ahead.acknowledged(), ahead.ids);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_began_and_returns_what_was_taken_ahead() -> Result<()> {
    let (ahead, worker) = Ahead::new().await?;
    worker.stop.cancel();
    ahead.scene.store.release();
    worker.ended().await?;
    assert_eq!(ahead.begun(), [1]);
    assert_eq!(ahead.acknowledged(), ahead.ids[..1]);
    ahead.another_worker_takes(&ahead.ids[1..]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_worker_returns_what_began_and_what_was_taken_ahead() -> Result<()> {
    let (ahead, worker) = Ahead::new().await?;
    worker.abandon.cancel();
    worker.ended().await?;
    ahead.scene.store.release();
    assert_eq!(ahead.acknowledged(), [""; 0]);
    ahead.another_worker_takes(&ahead.ids).await
}

/// The batch is tried again, and the next one waits behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_for_a_moment_delays_what_was_taken_ahead() -> Result<()> {
    let (ahead, worker) = Ahead::new().await?;
    ahead.scene.store.fail(2);
    ahead.scene.store.release();
    ahead.all_are_applied().await?;
    worker.stop().await?;
    assert_eq!(ahead.begun(), [1; 2 + MESSAGES]);
    assert_eq!(ahead.taken(), ahead.ids);
    assert_eq!(ahead.acknowledged(), ahead.ids);
    Ok(())
}

/// All messages of the lane are for other workers then, until the store answers this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_returns_what_began_and_what_was_taken_ahead() -> Result<()> {
    let ahead = Ahead::idle().await?;
    ahead.scene.store.leave();
    let worker = ahead.begin().await?;
    let none_is_taken = wait::until("the end of the consumer", PATIENCE, async || {
        matches!(ahead.scene.consumers().await, Ok(0))
    });
    none_is_taken.await?;
    assert_eq!(ahead.acknowledged(), [""; 0]);
    ahead.scene.store.come_back();
    ahead.all_are_applied().await?;
    worker.stop().await?;
    assert_eq!(ahead.taken()[2..], ahead.ids);
    assert_eq!(ahead.acknowledged(), ahead.ids);
    Ok(())
}

/// What was delivered before is delivered again, and its first copy is processed all the same.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_taken_before_the_connection_was_lost_take_effect_once() -> Result<()> {
    let (ahead, worker) = Ahead::new().await?;
    ahead.scene.bus.lose_connection();
    ahead.scene.store.release();
    ahead.all_are_applied().await?;
    worker.stop().await?;
    let acknowledged = ahead.acknowledged();
    for (place, id) in ahead.ids.iter().enumerate() {
        let copies = acknowledged.iter().filter(|other| *other == id).count();
        assert!(copies >= 1 && (place < 2 || copies <= 2), "{acknowledged:?}");
    }
    Ok(())
}
