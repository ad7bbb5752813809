use lockstep_protocol::topology::{Destination, Lane, Queue, ReplyQueue, Topology};
use lockstep_protocol::{Class, Kind};

use super::{Fixture, LANE, assert_empty, consume, message, publish, take_and_ack, texts, work};

pub(crate) async fn every_ingress_type_reaches_its_lane<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let ingress_lanes: Vec<Kind> = kinds(|class| matches!(class, Class::Event | Class::Command));
    let messages = ingress_lanes
        .iter()
        .map(|kind| message(Destination::Ingress(*kind), kind.as_str()));
    publish(&bus, messages.collect()).await;

    for lane in Lane::ALL.iter().copied() {
        let expected: Vec<Kind> = ingress_lanes
            .iter()
            .copied()
            .filter(|kind| kind.ingress() == Some(lane))
            .collect();
        let mut consumer = consume(&bus, Queue::Lane(lane), 100).await;
        let deliveries = take_and_ack(&mut consumer, expected.len()).await;
        consumer.close().await;
        assert_eq!(
            texts(&deliveries),
            expected.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()
        );
        for delivery in deliveries {
            assert_eq!(delivery.exchange, "lockstep.events");
            assert_eq!(delivery.routing_key.as_bytes(), &delivery.body[..]);
        }
    }
    bus.close().await;
}

pub(crate) async fn every_lane_gets_its_own_messages<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let messages = Lane::ALL
        .iter()
        .map(|lane| message(Destination::Lane(*lane), lane.as_str()));
    publish(&bus, messages.collect()).await;
    for lane in Lane::ALL.iter().copied() {
        let mut consumer = consume(&bus, Queue::Lane(lane), 10).await;
        let delivery = take_and_ack(&mut consumer, 1).await.remove(0);
        consumer.close().await;
        assert_eq!(&delivery.body[..], lane.as_str().as_bytes());
        assert_eq!(delivery.exchange, "lockstep.work");
        assert_eq!(delivery.routing_key, lane.as_str());
        assert_empty(
            &bus,
            Queue::Lane(lane),
            message(Destination::Lane(lane), "marker"),
        )
        .await;
    }
    bus.close().await;
}

pub(crate) async fn the_dead_lane_is_the_dead_letter_queue<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, vec![message(Destination::Lane(Lane::Dead), "gone")]).await;
    let mut consumer = consume(&bus, Queue::Lane(Lane::Dead), 10).await;
    let delivery = take_and_ack(&mut consumer, 1).await.remove(0);
    assert_eq!(&delivery.body[..], b"gone");
    assert_eq!(delivery.exchange, "lockstep.work");
    bus.close().await;
}

pub(crate) async fn a_known_type_as_text_reaches_its_lane<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let kind = Kind::InterfaceUpdated;
    let lane = kind.ingress().expect("events have an ingress lane");
    publish(
        &bus,
        vec![message(Destination::Type(kind.as_str().to_owned()), "known")],
    )
    .await;
    let mut consumer = consume(&bus, Queue::Lane(lane), 10).await;
    assert_eq!(texts(&take_and_ack(&mut consumer, 1).await), ["known"]);
    bus.close().await;
}

pub(crate) async fn an_unknown_type_is_unrouted<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    // Results and internal messages are known types that cannot be published there.
    let types = [
        "lockstep.interface.eaten",
        "",
        "#",
        "a.b.c",
        "lockstep.event.applied",
        "lockstep.internal.repository.tip-moved",
    ];
    let messages = types.map(|text| message(Destination::Type(text.to_owned()), text));
    publish(&bus, messages.to_vec()).await;
    let mut consumer = consume(&bus, Queue::Unrouted, 10).await;
    let deliveries = take_and_ack(&mut consumer, types.len()).await;
    assert_eq!(texts(&deliveries), types);
    for (delivery, text) in deliveries.iter().zip(types) {
        assert_eq!(delivery.routing_key, text);
        assert_eq!(delivery.exchange, "lockstep.events");
    }
    bus.close().await;
}

pub(crate) async fn the_bus_sets_the_user_id<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    let reply = ReplyQueue::of(bus.user(), "who").expect("the name is short");
    let user = bus.user().to_owned();
    for (destination, queue) in [
        (Destination::Lane(Lane::Cvp), Queue::Lane(Lane::Cvp)),
        (Destination::Lane(Lane::Dead), Queue::Lane(Lane::Dead)),
        (Destination::Type("unknown".to_owned()), Queue::Unrouted),
        (Destination::Reply(reply.clone()), Queue::Reply(reply)),
        (Destination::Results(Kind::EventApplied), Queue::Results),
    ] {
        let mut consumer = consume(&bus, queue, 10).await;
        let mut forged = message(destination, "who");
        forged.properties.user_id = Some("mallory".into());
        publish(&bus, vec![forged]).await;
        let delivery = take_and_ack(&mut consumer, 1).await.remove(0);
        assert_eq!(delivery.properties.user_id.as_deref(), Some(user.as_str()));
        consumer.close().await;
    }
    bus.close().await;
}

pub(crate) async fn declaring_twice_has_no_effect<F: Fixture>() {
    let fixture = F::new().await;
    let bus = fixture.declared().await;
    publish(&bus, vec![work("before")]).await;
    bus.declare(&Topology::new(F::RETRY_DELAY_SCALE))
        .await
        .expect("the same objects can be declared again");
    publish(&bus, vec![work("after")]).await;
    let mut consumer = consume(&bus, LANE, 10).await;
    assert_eq!(texts(&take_and_ack(&mut consumer, 2).await), ["before", "after"]);
    bus.close().await;
}

fn kinds(wanted: impl Fn(Class) -> bool) -> Vec<Kind> {
    Kind::ALL
        .iter()
        .copied()
        .filter(|kind| wanted(kind.class()))
        .collect()
}
