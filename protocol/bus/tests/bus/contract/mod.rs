//! The contract suite that every implementation of [`Bus`] passes. An implementation needs a [`Fixture`] and one line:
//! `contract!(MyFixture);`.
//!
//! No test sleeps. Expected events are awaited within [`BOUND`]. To show that a message does not arrive, a test either
//! publishes another one that arrives first, or waits for [`SILENCE`].

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

/// The timeout of expected events.
pub(crate) const BOUND: Duration = Duration::from_secs(30);
/// How long to wait for a message that must not arrive.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);

/// Where the bus of one test keeps its messages: a virtual host or a folder. Removed when dropped.
#[async_trait]
pub(crate) trait Fixture: Sized + Send + Sync {
    /// The scale of the retry delays.
    const RETRY_DELAY_SCALE: f64 = 0.02;

    /// Creates an empty virtual host or folder.
    async fn new() -> Self;

    /// Opens a bus. A second one, opened after the first was closed, finds its messages.
    async fn open(&self) -> Arc<dyn Bus>;

    /// Opens a bus and declares the topology.
    async fn declared(&self) -> Arc<dyn Bus> {
        let bus = self.open().await;
        bus.declare(&Topology::new(Self::RETRY_DELAY_SCALE))
            .await
            .expect("the objects can be declared");
        bus
    }

    /// Closes the bus and opens another one with the same messages.
    async fn reopen(&self, bus: Arc<dyn Bus>) -> Arc<dyn Bus> {
        bus.close().await;
        drop(bus);
        self.declared().await
    }
}

/// Generates a test of each behaviour for one fixture.
macro_rules! contract {
    ($fixture:ident) => {
        $crate::contract::behaviours! { $fixture:
            publishing {
                messages_arrive_in_order_and_intact
                bodies_may_be_empty_or_binary_and_large
                a_body_that_no_receiver_accepts_is_not_published
                two_thousand_messages_arrive_in_order
                publishing_an_empty_list_returns_at_once
                many_publishers_at_once_lose_nothing
            }
            consuming {
                a_batch_is_never_empty_and_never_above_its_maximum
                a_batch_is_what_has_arrived
                prefetch_is_never_exceeded
                two_consumers_share_the_work
                dropping_take_under_load_loses_nothing
                a_waiting_consumer_gets_a_new_message
                waiting_messages_and_consumers_are_counted
            }
            acknowledging {
                acknowledged_batches_are_not_redelivered
                unacknowledged_messages_are_redelivered_after_the_consumer_closed
                unacknowledged_messages_are_redelivered_after_the_consumer_was_dropped
                unacknowledged_messages_are_redelivered_after_the_bus_was_reopened
                messages_never_delivered_are_not_flagged_as_redelivered
                batches_may_be_acknowledged_in_any_order
                a_long_batch_does_not_block_others_if_each_is_acknowledged
                a_dropped_receipt_settles_nothing
                a_late_acknowledgement_has_no_effect
            }
            retry_delays {
                a_delayed_message_arrives_in_its_lane_and_never_early
                delayed_messages_keep_their_order
                a_short_delay_does_not_wait_for_a_longer_one
                a_delay_survives_a_restart_of_the_bus
            }
            routing {
                every_ingress_type_reaches_its_lane
                every_lane_gets_its_own_messages
                the_dead_lane_is_the_dead_letter_queue
                a_known_type_as_text_reaches_its_lane
                an_unknown_type_is_unrouted
                the_bus_sets_the_user_id
                declaring_twice_has_no_effect
            }
            replies {
                a_reply_reaches_its_reply_queue
                a_reply_without_a_reply_queue_goes_to_the_results
                a_reply_waits_until_its_queue_is_consumed_again
                results_without_a_reply_queue_go_to_the_results
                a_reply_reaches_no_other_reply_queue
            }
            closing {
                a_waiting_consumer_ends
                a_closed_bus_returns_errors
                closing_twice_has_no_effect
            }
        }
    };
}
pub(crate) use contract;

/// Generates the tests of the listed modules; helper of [`contract!`].
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

/// The queue that most tests use.
pub(crate) const LANE: Queue = Queue::Lane(Lane::Devices);

/// A message for [`LANE`] with this body and id.
pub(crate) fn work(text: impl Display) -> Outgoing {
    message(Destination::Lane(Lane::Devices), text)
}

/// A message with this text as its body and id.
pub(crate) fn message(destination: Destination, text: impl Display) -> Outgoing {
    let text = text.to_string();
    Outgoing {
        destination,
        properties: Properties {
            message_id: Some(text.as_str().into()),
            ..Properties::default()
        },
        body: Bytes::from(text),
    }
}

/// Publishes within [`BOUND`].
pub(crate) async fn publish(bus: &Arc<dyn Bus>, messages: Vec<Outgoing>) {
    timeout(BOUND, bus.publish(messages))
        .await
        .expect("publishing ends within its bound")
        .expect("the messages can be published");
}

/// Starts a consumer within [`BOUND`].
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

/// Takes a batch within [`BOUND`].
pub(crate) async fn take(consumer: &mut Box<dyn Consumer>, max: usize) -> Batch {
    let batch = timeout(BOUND, consumer.take(max))
        .await
        .expect("a batch arrives within its bound")
        .expect("the bus is open");
    assert!(
        (1..=max).contains(&batch.deliveries.len()),
        "a batch of {}, although at most {max} were requested",
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

/// Takes batches until there are `count` deliveries, without acknowledging any.
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

/// Asserts that no message arrives.
pub(crate) async fn assert_silent(consumer: &mut Box<dyn Consumer>) {
    if let Ok(unexpected) = timeout(SILENCE, consumer.take(1)).await {
        panic!("no message was expected, but {unexpected:?} arrived");
    }
}

/// Asserts that the queue is empty: a message published now is the first to arrive.
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

/// The bodies of the deliveries as texts.
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

/// The number in the text of a message.
pub(crate) fn number_of(text: &str) -> usize {
    text.parse().expect("the text is a number")
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
