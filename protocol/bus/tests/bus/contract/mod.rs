//! What every [`Bus`] must hold, whatever carries it. An implementation joins with a [`Fixture`] and one line:
//! `contract!(MyFixture);`.
//!
//! No test sleeps. What must happen is waited for with [`BOUND`]; what must not happen is either shown by a later
//! message that arrives first, or by a [`SILENCE`] in which nothing came.

pub(crate) mod acknowledging;
pub(crate) mod closing;
pub(crate) mod consuming;
pub(crate) mod publishing;
pub(crate) mod replies;
pub(crate) mod retry_delays;
pub(crate) mod routing;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lockstep_bus::{Acknowledge, Batch, Bus, ConsumeOptions, Consumer, Delivery, Outgoing, Properties};
use lockstep_protocol::topology::{Destination, Lane, Queue, Topology};
use tokio::time::timeout;

/// The longest anything may take that must happen.
pub(crate) const BOUND: Duration = Duration::from_secs(30);
/// How long nothing may come where nothing must come.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);
/// How long a batch may wait for more where the test does not care.
pub(crate) const LINGER: Duration = Duration::from_millis(20);

/// A place for one test: a virtual host, a folder. It goes when dropped.
#[async_trait]
pub(crate) trait Fixture: Sized + Send + Sync {
    /// The scale of the retry ladder's waits.
    const LADDER_SCALE: f64 = 0.02;

    /// Makes an empty place.
    async fn new() -> Self;

    /// Opens a bus there. Opened again after the first was closed, it finds what the first left.
    async fn open(&self) -> Arc<dyn Bus>;

    /// Opens a bus there and declares the objects.
    async fn declared(&self) -> Arc<dyn Bus> {
        let bus = self.open().await;
        bus.declare(&Topology::new(Self::LADDER_SCALE))
            .await
            .expect("the objects can be declared");
        bus
    }

    /// Closes the bus and opens another one at the same place.
    async fn reopen(&self, bus: Arc<dyn Bus>) -> Arc<dyn Bus> {
        bus.close().await;
        drop(bus);
        self.declared().await
    }
}

/// Makes a test of every behaviour for one fixture.
macro_rules! contract {
    ($fixture:ident) => {
        $crate::contract::behaviours! { $fixture:
            publishing {
                messages_arrive_in_order_and_intact
                bodies_may_be_empty_or_binary_and_large
                two_thousand_messages_arrive_in_order
                publishing_nothing_is_done_at_once
                many_publishers_at_once_lose_nothing
            }
            consuming {
                a_batch_is_never_empty_and_never_above_its_maximum
                a_full_batch_does_not_linger
                a_batch_lingers_for_more
                prefetch_is_never_exceeded
                two_consumers_share_the_work
                dropping_take_under_load_loses_nothing
                a_waiting_consumer_hears_of_a_new_message
            }
            acknowledging {
                acknowledged_batches_do_not_come_again
                unacknowledged_deliveries_come_again_after_the_consumer_closed
                unacknowledged_deliveries_come_again_after_the_consumer_was_dropped
                unacknowledged_deliveries_come_again_after_the_bus_was_reopened
                what_was_never_delivered_is_not_called_redelivered
                batches_may_be_acknowledged_in_any_order
                a_long_batch_holds_nothing_back_where_each_is_acknowledged
                a_dropped_receipt_settles_nothing
                acknowledging_too_late_does_no_harm
            }
            retry_delays {
                a_delayed_message_comes_back_in_its_lane_and_never_early
                delayed_messages_keep_their_order
                a_short_wait_is_not_held_up_by_a_long_one
                a_wait_outlives_the_bus
            }
            routing {
                every_ingress_type_reaches_its_lane
                every_lane_gets_its_own
                dead_letters_reach_the_dead_queue
                a_known_type_as_text_reaches_its_lane
                an_unknown_type_is_unrouted
                the_bus_says_who_published
                declaring_twice_is_harmless
            }
            replies {
                a_reply_reaches_who_asked
                a_reply_without_a_reader_falls_through_to_the_results
                a_reply_waits_for_a_reader_who_went_away
                results_for_nobody_reach_the_results
                reply_queues_are_kept_apart
            }
            closing {
                a_waiting_consumer_ends
                a_closed_bus_refuses
                closing_twice_is_harmless
            }
        }
    };
}
pub(crate) use contract;

/// The tests of the modules named; helper of [`contract!`].
macro_rules! behaviours {
    ($fixture:ident: $($concept:ident { $($behaviour:ident)* })*) => {
        $(mod $concept {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    $crate::contract::$concept::$behaviour::<super::$fixture>().await;
                }
            )*
        })*
    };
}
pub(crate) use behaviours;

/// The queue most tests use.
pub(crate) const LANE: Queue = Queue::Lane(Lane::Devices);

/// A message for [`LANE`] that says `text`.
pub(crate) fn work(text: impl Display) -> Outgoing {
    message(Destination::Lane(Lane::Devices), text)
}

/// A message that says `text`, as its body and as its id.
pub(crate) fn message(destination: Destination, text: impl Display) -> Outgoing {
    let text = text.to_string();
    Outgoing {
        destination,
        properties: Properties {
            message_id: Some(text.clone()),
            ..Properties::default()
        },
        body: Bytes::from(text),
    }
}

/// Publishes within the bound.
pub(crate) async fn publish(bus: &Arc<dyn Bus>, messages: Vec<Outgoing>) {
    timeout(BOUND, bus.publish(messages))
        .await
        .expect("publishing ends within its bound")
        .expect("the messages can be published");
}

/// Consumes within the bound.
pub(crate) async fn consume(bus: &Arc<dyn Bus>, queue: Queue, prefetch: u16) -> Box<dyn Consumer> {
    let options = ConsumeOptions {
        prefetch,
        acknowledge: Acknowledge::InOrder,
    };
    timeout(BOUND, bus.consume(queue, options))
        .await
        .expect("consuming starts within its bound")
        .expect("the queue can be consumed")
}

/// Takes a batch within the bound.
pub(crate) async fn take(consumer: &mut Box<dyn Consumer>, max: usize) -> Batch {
    let batch = timeout(BOUND, consumer.take(max, LINGER))
        .await
        .expect("a batch comes within its bound")
        .expect("the bus is open");
    assert!(
        (1..=max).contains(&batch.deliveries.len()),
        "a batch of {} where at most {max} were asked for",
        batch.deliveries.len()
    );
    batch
}

/// Takes batches until there are `count` deliveries, acknowledging each batch.
pub(crate) async fn take_and_ack(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        let batch = take(consumer, count - deliveries.len()).await;
        deliveries.extend(batch.deliveries);
        batch.receipt.ack().await;
    }
    deliveries
}

/// Takes batches until there are `count` deliveries, without settling any.
pub(crate) async fn take_and_keep(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut taken = 0;
    while taken < count {
        let batch = take(consumer, count - taken).await;
        taken += batch.deliveries.len();
        batches.push(batch);
    }
    batches
}

/// Nothing comes.
pub(crate) async fn assert_silent(consumer: &mut Box<dyn Consumer>) {
    if let Ok(came) = timeout(SILENCE, consumer.take(1, Duration::ZERO)).await {
        panic!("nothing should have come, but {came:?} did");
    }
}

/// The queue is empty: a message published now is the first to arrive.
pub(crate) async fn assert_empty(bus: &Arc<dyn Bus>, queue: Queue, marker: Outgoing) {
    let expected = marker.body.clone();
    let mut consumer = consume(bus, queue, 10).await;
    publish(bus, vec![marker]).await;
    let batch = take(&mut consumer, 10).await;
    assert_eq!(
        texts(&batch.deliveries),
        [text_of(&expected)],
        "the queue was not empty"
    );
    batch.receipt.ack().await;
    consumer.close().await;
}

/// What the deliveries say.
pub(crate) fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries
        .iter()
        .map(|delivery| text_of(&delivery.body))
        .collect()
}

/// Numbers as texts.
pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// The number a message says.
pub(crate) fn number_of(text: &str) -> usize {
    text.parse().expect("the message says a number")
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
