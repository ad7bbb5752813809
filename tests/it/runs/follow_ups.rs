//! Follow-ups of runs: caused, published, processed once each; and what waits is not published over and over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::BoxFuture;
use lockstep_bus::{Acknowledge, ConsumeOptions};
use lockstep_clock::SystemClock;
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::topology::{Lane, Queue};
use lockstep_protocol::{Identity, Message};
use lockstep_store::{Effects, FollowUpRequest, FollowUpTarget, FollowUps, Keys};
use lockstep_testbed::wait;
use lockstep_worker::reconcile::{OverdueFollowUps, Repair};
use lockstep_worker::runtime::{Attempt, ProcessingError, RunContext, RunEnd};

use super::acting::{Acting, result};
use super::scripted::{Place, message, options};
use crate::system::PATIENCE;

/// Work for a lane.
fn work(lane: Lane, delay: Option<Duration>) -> FollowUpRequest {
    let body = RepositoryRefreshRequested {
        repository: "child".to_owned().try_into().expect("a name"),
    };
    FollowUpRequest {
        message: Message::from(body),
        subject: None,
        target: FollowUpTarget::Lane(lane),
        delay,
        lease: None,
    }
}

/// A run that causes these for each of its messages.
fn causes<'a>(
    context: &'a RunContext<'a>,
    attempts: Vec<Attempt>,
    follow_ups: Vec<FollowUpRequest>,
) -> BoxFuture<'a, Vec<RunEnd>> {
    Box::pin(async move {
        let keys = Keys::default();
        let committed: Result<Vec<RunEnd>, ProcessingError> = async {
            let (mut facts, transaction) = context.begin(&keys).await?;
            let at = facts.now().unwrap_or(attempts[0].first_at);
            let mut rows = Vec::new();
            for attempt in &attempts {
                let effects = Effects {
                    follow_ups: follow_ups.clone(),
                    ..Effects::default()
                };
                attempt.absorb(&mut facts, effects, at);
                rows.push(attempt.apply(&mut facts, result(), true, at));
            }
            transaction.commit_and_release(facts).await?;
            Ok(rows.into_iter().map(RunEnd::Committed).collect())
        }
        .await;
        committed.unwrap_or_else(|error| vec![RunEnd::Failed(error); attempts.len()])
    })
}

fn is_parent(attempt: &Attempt) -> bool {
    attempt.key.identity.source.as_str() != lockstep_protocol::Source::worker().as_str()
}

fn follow_ups_left(place: &Place) -> Result<usize> {
    Ok(place.texts("SELECT id FROM follow_up")?.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn caused_work_is_processed_once_and_caused_results_are_published() -> Result<()> {
    const CHILDREN: usize = 200;
    let place = Place::new().await?;
    let runner = Acting::new(|context, attempts| {
        if !is_parent(&attempts[0]) {
            return Box::pin(async move { vec![RunEnd::Applied(result()); attempts.len()] });
        }
        let mut follow_ups = vec![work(Lane::Repositories, None); CHILDREN];
        follow_ups.push(FollowUpRequest {
            message: Message::Result(result()),
            target: FollowUpTarget::Requester,
            ..work(Lane::Repositories, None)
        });
        causes(context, attempts, follow_ups)
    });
    let parent = message("parent");
    // Twice: the second delivery publishes only what the first one did not.
    place.publish([&parent, &parent]).await?;
    let worker = place.work(&(runner.clone() as _), options());
    wait::until("all children to be processed", PATIENCE, async || {
        match place.texts("SELECT id FROM inbox") {
            Ok(found) if found.len() == 1 + CHILDREN => Ok(()),
            found => Err(format!("{:?}", found.map(|found| found.len()))),
        }
    })
    .await?;
    worker.stop().await?;
    ensure!(follow_ups_left(&place)? == 0, "each ended with its message");
    let mut children: Vec<Identity> = runner.identities();
    children.retain(|identity| *identity != parent.identity);
    let all = children.len();
    children.sort_unstable();
    children.dedup();
    ensure!(
        (all, children.len()) == (CHILDREN, CHILDREN),
        "{all} were processed, {} different ones",
        children.len()
    );
    // One result for each message, and the one that the parent caused.
    let results = place.count(Queue::Results).await?;
    ensure!(results >= CHILDREN + 2, "{results}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_that_waits_has_no_copy_in_the_broker() -> Result<()> {
    let place = Place::new().await?;
    let runner = Acting::new(|context, attempts| {
        if is_parent(&attempts[0]) {
            return causes(context, attempts, vec![work(Lane::Repositories, None)]);
        }
        Box::pin(async move {
            let error = ProcessingError::later("the device is busy");
            vec![RunEnd::Failed(error); attempts.len()]
        })
    });
    place.publish([&message("parent")]).await?;
    let worker = place.work(&(runner.clone() as _), options());
    wait::until("the child to wait", PATIENCE, async || {
        if runner.identities().len() == 2 {
            Ok(())
        } else {
            Err(format!("{:?}", runner.identities()))
        }
    })
    .await?;
    worker.stop().await?;
    ensure!(
        place.count(Queue::Lane(Lane::Repositories)).await? == 0,
        "acknowledged"
    );
    ensure!(follow_ups_left(&place)? == 1, "its row waits");
    let state = place.texts("SELECT published || ' ' || (due_at > at) FROM follow_up")?;
    ensure!(state == ["1 1"], "{state:?}");
    ensure!(
        place.texts("SELECT id FROM inbox")?.len() == 1,
        "it is not completed"
    );
    Ok(())
}

/// Ten thousand follow-ups wait ten minutes, at a hundredth of the time: for their time, or in a lane that nobody consumes.
async fn waiting_for_ten_minutes(delay: Option<Duration>) -> Result<()> {
    const MANY: usize = 10_000;
    const MINUTE: Duration = Duration::from_millis(600);
    let place = Place::new().await?;
    let delay = delay.map(|delay| delay / 100);
    let runner = Acting::new(move |context, attempts| {
        causes(context, attempts, vec![work(Lane::Devices, delay); MANY])
    });
    let parent = message("parent");
    place.publish([&parent]).await?;
    let worker = place.work(&(runner as _), options());
    wait::until(
        "all of them to be caused",
        PATIENCE,
        async || match follow_ups_left(&place) {
            Ok(MANY) => Ok(()),
            found => Err(format!("{found:?}")),
        },
    )
    .await?;
    let repair = OverdueFollowUps::new(
        place.follow_ups(),
        place.store.clone(),
        place.bus.clone(),
        Arc::new(SystemClock),
        15 * MINUTE,
    );
    let mut passes = tokio::time::interval(MINUTE);
    for _ in 0..12 {
        passes.tick().await;
        while repair
            .page()
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))?
            .more
        {}
    }
    worker.stop().await?;
    let published = place.count(Queue::Lane(Lane::Devices)).await?;
    ensure!(
        (MANY..=MANY * 11 / 10).contains(&published),
        "{published} publications of {MANY} follow-ups"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_that_wait_for_their_time_are_published_about_once() -> Result<()> {
    waiting_for_ten_minutes(Some(Duration::from_mins(10))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_in_a_lane_that_stands_still_are_published_about_once() -> Result<()> {
    waiting_for_ten_minutes(None).await
}

impl Place {
    /// The first column of a query, as text.
    fn texts(&self, query: &str) -> Result<Vec<String>> {
        let connection = rusqlite::Connection::open(self.store_file())?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let mut statement = connection.prepare(query)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many messages a queue holds. They stay there.
    async fn count(&self, queue: Queue) -> Result<usize> {
        let options = ConsumeOptions {
            prefetch: u16::MAX,
            acknowledge: Acknowledge::Each,
        };
        let mut consumer = self.bus.consume(queue, options).await?;
        let mut count = 0;
        let moment = Duration::from_millis(300);
        while let Ok(batch) = tokio::time::timeout(moment, consumer.take(5000)).await {
            count += batch.context("the bus was closed")?.deliveries.len();
        }
        consumer.close().await;
        Ok(count)
    }

    fn follow_ups(&self) -> Arc<dyn FollowUps> {
        self.store.clone()
    }
}
