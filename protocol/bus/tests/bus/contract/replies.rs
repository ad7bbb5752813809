use lockstep_bus::Bus;
use lockstep_protocol::Kind;
use lockstep_protocol::topology::{Destination, Queue, ReplyQueue};

use super::{Fixture, assert_empty, consume, message, publish, take_and_ack, texts};

pub(crate) async fn a_reply_reaches_its_reply_queue<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let reply = reply_queue(&*bus, "asked");
    let mut consumer = consume(&bus, Queue::Reply(reply.clone()), 10).await;
    publish(&bus, vec![message(Destination::Reply(reply.clone()), "answer")]).await;
    let delivery = take_and_ack(&mut consumer, 1).await.remove(0);
    assert_eq!(&delivery.body[..], b"answer");
    assert_eq!(delivery.exchange, "lockstep.replies");
    assert_eq!(delivery.routing_key, reply.as_str());
    let marker = message(Destination::Results(Kind::EventApplied), "marker");
    assert_empty(&bus, Queue::Results, marker).await;
    bus.close().await;
}

pub(crate) async fn a_reply_without_a_reply_queue_goes_to_the_results<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let reply = reply_queue(&*bus, "nobody");
    publish(&bus, vec![message(Destination::Reply(reply.clone()), "answer")]).await;
    let mut consumer = consume(&bus, Queue::Results, 10).await;
    let delivery = take_and_ack(&mut consumer, 1).await.remove(0);
    assert_eq!(&delivery.body[..], b"answer");
    assert_eq!(delivery.routing_key, reply.as_str());
    bus.close().await;
}

pub(crate) async fn a_reply_waits_until_its_queue_is_consumed_again<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let reply = reply_queue(&*bus, "away");
    consume(&bus, Queue::Reply(reply.clone()), 10).await.close().await;
    publish(&bus, vec![message(Destination::Reply(reply.clone()), "early")]).await;

    let bus = fixture.reopen(bus).await;
    publish(&bus, vec![message(Destination::Reply(reply.clone()), "late")]).await;
    let mut consumer = consume(&bus, Queue::Reply(reply), 10).await;
    assert_eq!(texts(&take_and_ack(&mut consumer, 2).await), ["early", "late"]);
    bus.close().await;
}

pub(crate) async fn results_without_a_reply_queue_go_to_the_results<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(
        &bus,
        vec![message(Destination::Results(Kind::ExecutionFinished), "done")],
    )
    .await;
    let mut consumer = consume(&bus, Queue::Results, 10).await;
    let delivery = take_and_ack(&mut consumer, 1).await.remove(0);
    assert_eq!(&delivery.body[..], b"done");
    assert_eq!(delivery.exchange, "lockstep.results");
    assert_eq!(delivery.routing_key, Kind::ExecutionFinished.as_str());
    bus.close().await;
}

pub(crate) async fn a_reply_reaches_no_other_reply_queue<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let left = reply_queue(&*bus, "left");
    let right = reply_queue(&*bus, "right");
    let mut reads_left = consume(&bus, Queue::Reply(left.clone()), 10).await;
    let mut reads_right = consume(&bus, Queue::Reply(right.clone()), 10).await;
    publish(
        &bus,
        vec![
            message(Destination::Reply(right), "for right"),
            message(Destination::Reply(left), "for left"),
        ],
    )
    .await;
    assert_eq!(texts(&take_and_ack(&mut reads_left, 1).await), ["for left"]);
    assert_eq!(texts(&take_and_ack(&mut reads_right, 1).await), ["for right"]);
    bus.close().await;
}

fn reply_queue(bus: &dyn Bus, random: &str) -> ReplyQueue {
    ReplyQueue::of(bus.user(), random).expect("the name is short")
}
