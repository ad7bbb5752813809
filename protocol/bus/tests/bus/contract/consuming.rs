use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lockstep_bus::QueueFigures;
use lockstep_protocol::topology::Lane;
use lockstep_testbed::wait;
use tokio::time::timeout;

use super::{
    BOUND, Fixture, LANE, assert_empty, assert_silent, consume, numbers, publish, take, take_and_ack,
    take_and_keep, texts, work,
};

pub(crate) async fn a_batch_is_never_empty_and_never_above_its_maximum<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..10).into_iter().map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 100).await;
    let mut seen = Vec::new();
    while seen.len() < 10 {
        let batch = timeout(BOUND, consumer.take(3))
            .await
            .expect("a batch arrives within its bound")
            .expect("the bus is open");
        assert!(!batch.deliveries.is_empty());
        assert!(batch.deliveries.len() <= 3);
        seen.extend(texts(&batch.deliveries));
        batch.receipt.ack().await;
    }
    assert_eq!(seen, numbers(0..10));
    assert_silent(&mut consumer).await;
    bus.close().await;
}

pub(crate) async fn a_batch_is_what_has_arrived<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let mut consumer = consume(&bus, LANE, 1000).await;
    publish(&bus, vec![work("first")]).await;
    // The batch has room for more, and nothing else comes: it is not waited for.
    assert_eq!(texts(&take(&mut consumer, 100).await.deliveries), ["first"]);

    let several = wait::until("a batch of several messages", BOUND, async || {
        publish(&bus, numbers(0..50).into_iter().map(work).collect()).await;
        let mut batches = Vec::new();
        while batches.iter().map(Vec::len).sum::<usize>() < 50 {
            batches.push(texts(&take(&mut consumer, 100).await.deliveries));
        }
        assert_eq!(batches.concat(), numbers(0..50));
        if batches.len() < 50 {
            Ok(())
        } else {
            Err("each batch has one message")
        }
    });
    several
        .await
        .expect("messages that arrived together are one batch");
    bus.close().await;
}

pub(crate) async fn prefetch_is_never_exceeded<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..20).into_iter().map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 5).await;

    let first = take_and_keep(&mut consumer, 5).await;
    assert_silent(&mut consumer).await;
    for batch in first {
        batch.receipt.ack().await;
    }
    let second = take_and_keep(&mut consumer, 5).await;
    assert_silent(&mut consumer).await;
    for batch in second {
        batch.receipt.ack().await;
    }
    assert_eq!(texts(&take_and_ack(&mut consumer, 10).await), numbers(10..20));
    bus.close().await;
}

pub(crate) async fn two_consumers_share_the_work<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let mut left = consume(&bus, LANE, 10).await;
    let mut right = consume(&bus, LANE, 10).await;
    publish(&bus, numbers(0..100).into_iter().map(work).collect()).await;

    // Neither consumer can get all messages: the prefetch stops each until both have received some.
    let mut seen = Vec::new();
    let from_left = take_and_keep(&mut left, 10).await;
    let from_right = take_and_keep(&mut right, 10).await;
    for batch in from_left.into_iter().chain(from_right) {
        seen.extend(texts(&batch.deliveries));
        batch.receipt.ack().await;
    }
    while seen.len() < 100 {
        let batch = timeout(BOUND, async {
            tokio::select! {
                batch = left.take(10) => batch,
                batch = right.take(10) => batch,
            }
        })
        .await
        .expect("a batch arrives within its bound")
        .expect("the bus is open");
        seen.extend(texts(&batch.deliveries));
        batch.receipt.ack().await;
    }
    let distinct: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(seen.len(), 100);
    assert_eq!(distinct.len(), 100, "each message goes to one consumer");

    left.close().await;
    right.close().await;
    assert_empty(&bus, LANE, work("marker")).await;
    bus.close().await;
}

pub(crate) async fn dropping_take_under_load_loses_nothing<F: Fixture>() {
    const COUNT: usize = 3000;
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let mut consumer = consume(&bus, LANE, 200).await;
    let publisher = {
        let bus = bus.clone();
        tokio::spawn(async move {
            for chunk in numbers(0..COUNT).chunks(30) {
                publish(&bus, chunk.iter().map(work).collect()).await;
            }
        })
    };

    let mut seen = Vec::new();
    let started = Instant::now();
    for round in 0_u64.. {
        assert!(
            started.elapsed() < BOUND,
            "{} of {COUNT} came within the bound",
            seen.len()
        );
        // With different timeouts the future is dropped before it starts and while it waits.
        let patience = Duration::from_micros(round % 7 * 300);
        let taken = timeout(patience, consumer.take(50)).await;
        if let Ok(batch) = taken {
            let batch = batch.expect("the bus is open");
            seen.extend(texts(&batch.deliveries));
            batch.receipt.ack().await;
        }
        if seen.len() >= COUNT {
            break;
        }
    }
    publisher.await.expect("the publisher does not panic");
    assert_eq!(seen, numbers(0..COUNT));
    bus.close().await;
}

pub(crate) async fn a_waiting_consumer_gets_a_new_message<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let mut consumer = consume(&bus, LANE, 10).await;
    assert_silent(&mut consumer).await;
    let (batch, ()) = tokio::join!(take(&mut consumer, 10), publish(&bus, vec![work("new")]));
    assert_eq!(texts(&batch.deliveries), ["new"]);
    bus.close().await;
}

pub(crate) async fn waiting_messages_and_consumers_are_counted<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let names = [LANE.name(), "lockstep.none", Lane::Dead.queue()];
    // RabbitMQ counts soon, not at once.
    let reach = async |messages, consumers| {
        let expected = Some(QueueFigures { messages, consumers });
        let what = format!("{messages} messages and {consumers} consumers");
        let counted = wait::until(&what, BOUND, async || {
            let figures = bus.queues(&names).await.map_err(|error| error.to_string())?;
            let [found, None, Some(_)] = figures[..] else {
                return Err(format!(
                    "a queue that does not exist, and the next one: {figures:?}"
                ));
            };
            if found == expected {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        });
        counted.await.expect("the counts are reached");
    };
    reach(0, 0).await;
    publish(&bus, numbers(0..5).into_iter().map(work).collect()).await;
    reach(5, 0).await;
    let mut consumer = consume(&bus, LANE, 3).await;
    let batches = take_and_keep(&mut consumer, 3).await;
    reach(2, 1).await;
    for batch in batches {
        batch.receipt.ack().await;
    }
    consumer.close().await;
    reach(2, 0).await;
    bus.close().await;
}
