use lockstep_bus::{Acknowledge, ConsumeOptions};

use super::{
    Fixture, LANE, assert_empty, assert_silent, consume, number_of, numbers, publish, take_and_ack,
    take_and_keep, texts, work,
};

pub(crate) async fn acknowledged_batches_are_not_redelivered<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..50).into_iter().map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 50).await;
    take_and_ack(&mut consumer, 50).await;
    consumer.close().await;
    assert_empty(&bus, LANE, work("after close")).await;

    let bus = fixture.reopen(bus).await;
    assert_empty(&bus, LANE, work("after reopening")).await;
    bus.close().await;
}

pub(crate) async fn unacknowledged_messages_are_redelivered_after_the_consumer_closed<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..10).into_iter().map(work).collect()).await;
    let mut first = consume(&bus, LANE, 6).await;
    take_and_ack(&mut first, 2).await;
    let kept = take_and_keep(&mut first, 4).await;
    first.close().await;

    let mut second = consume(&bus, LANE, 10).await;
    let deliveries = take_and_ack(&mut second, 8).await;
    let mut seen = texts(&deliveries);
    seen.sort();
    assert_eq!(seen, numbers(2..10));
    for delivery in &deliveries {
        let number = number_of(&String::from_utf8_lossy(&delivery.body));
        if number < 6 {
            assert!(delivery.redelivered, "{number} was delivered before");
        }
    }
    drop(kept);
    bus.close().await;
}

pub(crate) async fn unacknowledged_messages_are_redelivered_after_the_consumer_was_dropped<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..5).into_iter().map(work).collect()).await;
    let mut first = consume(&bus, LANE, 10).await;
    take_and_keep(&mut first, 5).await;
    drop(first);

    let mut second = consume(&bus, LANE, 10).await;
    let deliveries = take_and_ack(&mut second, 5).await;
    assert!(deliveries.iter().all(|delivery| delivery.redelivered));
    bus.close().await;
}

pub(crate) async fn unacknowledged_messages_are_redelivered_after_the_bus_was_reopened<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..10).into_iter().map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 10).await;
    take_and_ack(&mut consumer, 3).await;
    take_and_keep(&mut consumer, 7).await;

    let bus = fixture.reopen(bus).await;
    let mut consumer = consume(&bus, LANE, 10).await;
    let deliveries = take_and_ack(&mut consumer, 7).await;
    assert_eq!(texts(&deliveries), numbers(3..10));
    assert!(deliveries.iter().all(|delivery| delivery.redelivered));
    bus.close().await;
}

pub(crate) async fn messages_never_delivered_are_not_flagged_as_redelivered<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..10).into_iter().map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 2).await;
    take_and_ack(&mut consumer, 2).await;
    // The prefetch allows at most two further deliveries.
    let bus = fixture.reopen(bus).await;
    publish(&bus, vec![work("10")]).await;

    let mut consumer = consume(&bus, LANE, 20).await;
    let deliveries = take_and_ack(&mut consumer, 9).await;
    assert_eq!(texts(&deliveries), numbers(2..11));
    assert!(deliveries[2..].iter().all(|delivery| !delivery.redelivered));
    bus.close().await;
}

pub(crate) async fn batches_may_be_acknowledged_in_any_order<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..9).into_iter().map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 100).await;
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.extend(take_and_keep(&mut consumer, 3).await);
    }
    let middle = batches.remove(1);
    let kept = texts(&middle.deliveries);
    for batch in batches.into_iter().rev() {
        batch.receipt.ack().await;
    }
    consumer.close().await;

    let mut consumer = consume(&bus, LANE, 100).await;
    let again = take_and_ack(&mut consumer, kept.len()).await;
    assert_eq!(
        texts(&again),
        kept,
        "only the unacknowledged batch is redelivered"
    );
    consumer.close().await;
    assert_empty(&bus, LANE, work("marker")).await;
    bus.close().await;
}

pub(crate) async fn a_long_batch_does_not_block_others_if_each_is_acknowledged<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..20).into_iter().map(work).collect()).await;
    let options = ConsumeOptions {
        prefetch: 4,
        acknowledge: Acknowledge::Each,
    };
    let mut consumer = bus
        .consume(LANE, options)
        .await
        .expect("the queue can be consumed");
    let long = take_and_keep(&mut consumer, 1).await;
    let others = take_and_ack(&mut consumer, 19).await;
    assert_eq!(texts(&others), numbers(1..20));
    drop(long);
    consumer.close().await;
    let mut consumer = bus
        .consume(LANE, options)
        .await
        .expect("the queue can be consumed");
    assert_eq!(texts(&take_and_ack(&mut consumer, 1).await), numbers(0..1));
    bus.close().await;
}

pub(crate) async fn a_dropped_receipt_settles_nothing<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..3).into_iter().map(work).collect()).await;
    let mut consumer = consume(&bus, LANE, 3).await;
    drop(take_and_keep(&mut consumer, 3).await);
    publish(&bus, vec![work("fourth")]).await;
    // The messages are not redelivered to this consumer, and the prefetch leaves no room for another one.
    assert_silent(&mut consumer).await;
    consumer.close().await;

    let mut consumer = consume(&bus, LANE, 3).await;
    let deliveries = take_and_ack(&mut consumer, 4).await;
    assert_eq!(texts(&deliveries)[..3], numbers(0..3));
    bus.close().await;
}

pub(crate) async fn a_late_acknowledgement_has_no_effect<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, numbers(0..3).into_iter().map(work).collect()).await;
    let mut first = consume(&bus, LANE, 10).await;
    let late = take_and_keep(&mut first, 3).await;
    first.close().await;

    let mut second = consume(&bus, LANE, 10).await;
    let again = take_and_keep(&mut second, 3).await;
    for batch in late {
        batch.receipt.ack().await;
    }
    // The late acknowledgement does not settle the deliveries of the second consumer.
    second.close().await;
    let mut third = consume(&bus, LANE, 10).await;
    assert_eq!(texts(&take_and_ack(&mut third, 3).await), numbers(0..3));
    drop(again);
    bus.close().await;
}
