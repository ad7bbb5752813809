use bytes::Bytes;
use lockstep_bus::{Delivery, Properties};
use lockstep_protocol::results::{EventApplied, Outcome};
use lockstep_protocol::topology;
use serde_json::{Value, json};

use super::*;
use crate::handlers::FleetHandlers;
use crate::runtime::authority::Authority;
use crate::runtime::intake::receive;
use lockstep_store::{Attributes, DeviceRow, FollowUpKey, Lifecycle, SyncState};

fn received(body: &[u8]) -> Received {
    received_through(topology::EVENTS, body)
}

fn received_through(exchange: &str, body: &[u8]) -> Received {
    let delivery = Delivery {
        body: Bytes::copy_from_slice(body),
        properties: Properties {
            user_id: Some("netbox".into()),
            ..Properties::default()
        },
        exchange: exchange.to_owned(),
        routing_key: kind_of(body),
        redelivered: false,
    };
    receive(delivery, None, &Authority::default(), Timestamp::UNIX_EPOCH)
}

/// The routing key of a body: its type.
fn kind_of(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["type"].as_str().unwrap_or_default().to_owned()
}

fn event(id: &str, data: &Value) -> Received {
    let kind = "lockstep.interface.updated";
    let body = json!({"specversion": "1.0", "id": id, "source": "urn:test", "type": kind, "data": data});
    received(body.to_string().as_bytes())
}

fn update(hostname: &str) -> Value {
    json!({"hostname": hostname, "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]})
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.add_device(DeviceRow {
        id: Some(1),
        hostname: "sw1".parse().unwrap(),
        attributes: Attributes::of(lockstep_protocol::DeviceType::ACCESS),
        lifecycle: Lifecycle {
            state: lockstep_protocol::DeviceState::Managed,
            note: None,
            until: None,
            version: None,
            since: None,
        },
        sync: SyncState::SYNCHRONIZED,
        marked: None,
        groups: None,
        by_rule: None,
        data: None,
        causes: Vec::new(),
        forgets_causes: false,
        described: false,
        flagged: false,
    });
    facts
}

fn decide_at(received: &Received, facts: &mut Facts, second: i64) -> Settlement {
    decide(
        received,
        facts,
        &FleetHandlers::default(),
        Timestamp::from_second(second).unwrap(),
    )
}

fn code(settlement: &Settlement) -> Code {
    match settlement {
        Settlement::Dead(row) => match &*row.result {
            WorkResult::MessageRejected(rejected) => rejected.code,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_message_twice_is_applied_once_with_the_same_result() {
    let mut facts = facts();
    let first = decide_at(&event("1", &update("sw1")), &mut facts, 10);
    let second = decide_at(&event("1", &update("sw1")), &mut facts, 20);
    assert_eq!(first, second);
    assert_eq!(facts.new_inbox().len(), 1);
    assert_eq!(facts.device(&"sw1".parse().unwrap()).unwrap().sync.desired, 2);
    let Settlement::Applied(row) = first else {
        panic!("{first:?}")
    };
    let WorkResult::EventApplied(EventApplied { outcome, flipped, .. }) = &*row.result else {
        panic!("{row:?}")
    };
    assert_eq!((*outcome, *flipped), (Outcome::Applied, 1));
}

#[test]
fn the_same_id_with_other_data_is_rejected_each_time_and_changes_nothing() {
    let mut facts = facts();
    decide_at(&event("1", &update("sw1")), &mut facts, 10);
    let status = json!({"hostname": "sw1", "kind": "status", "interfaces": [{"name": "Ethernet1"}]});
    let first = decide_at(&event("1", &status), &mut facts, 20);
    let second = decide_at(&event("1", &status), &mut facts, 30);
    assert_eq!(code(&first), Code::IdReused);
    assert_eq!(first, second);
    let Settlement::Dead(row) = &first else {
        panic!("{first:?}")
    };
    assert_ne!(row.identity, event("1", &status).key.identity);
    assert_eq!(facts.device(&"sw1".parse().unwrap()).unwrap().sync.desired, 2);
}

#[test]
fn a_message_that_cannot_be_processed_is_dead_lettered_with_a_code() {
    let table: [(&[u8], Code); 4] = [
        (b"not json", Code::InvalidJson),
        (b"{}", Code::InvalidEnvelope),
        (br#"{"specversion":"1.0","id":"1","source":"urn:test","type":"lockstep.interface.updated","data":{}}"#, Code::InvalidData),
        (br#"{"specversion":"1.0","id":"1","source":"urn:test","type":"lockstep.nonsense","data":{}}"#, Code::UnknownType),
    ];
    for (body, expected) in table {
        let mut facts = facts();
        let settlement = decide_at(&received(body), &mut facts, 10);
        assert_eq!(code(&settlement), expected, "{}", String::from_utf8_lossy(body));
        assert_eq!(
            decide_at(&received(body), &mut facts, 20),
            settlement,
            "the same bytes are the same message"
        );
        assert_eq!(facts.new_inbox().len(), 1);
    }
    let ghost = decide_at(&event("1", &update("ghost")), &mut facts(), 10);
    assert_eq!(code(&ghost), Code::UnknownDevice);
}

fn internal(kind: &str, data: &Value) -> Vec<u8> {
    json!({"specversion": "1.0", "id": "1", "source": "urn:lockstep:worker", "type": kind, "data": data})
        .to_string()
        .into_bytes()
}

#[test]
fn an_internal_message_is_processed_only_if_a_worker_published_it() {
    let known = "lockstep.internal.repository.tip-moved";
    let newer = "lockstep.internal.newer";
    let data = json!({"repository": "settings", "tip": "7".repeat(40)});
    let forward = Settlement::Forward {
        lane: Lane::Repositories,
    };
    let postpone = Settlement::Postpone {
        delay: RetryDelay::Seconds30,
    };
    let table = [
        // type, data, exchange, settlement or code of the rejection
        (known, &data, topology::WORK, Ok(&forward)),
        (known, &json!({}), topology::WORK, Err(Code::InvalidData)),
        (newer, &data, topology::WORK, Ok(&postpone)),
        (known, &data, topology::EVENTS, Err(Code::NotAllowed)),
        (known, &json!({}), topology::EVENTS, Err(Code::InvalidData)),
        (newer, &data, topology::EVENTS, Err(Code::UnknownType)),
        (known, &data, "", Err(Code::NotAllowed)),
    ];
    for (kind, data, exchange, expected) in table {
        let received = received_through(exchange, &internal(kind, data));
        let mut facts = facts();
        let route = Work::Route(Arc::new(FleetHandlers::default()));
        let settlement = settle(&route, &received, &mut facts);
        match expected {
            Ok(expected) => {
                assert_eq!(&settlement, expected, "{kind} through {exchange:?}");
                assert!(facts.new_inbox().is_empty(), "{kind} through {exchange:?}");
            }
            Err(expected) => assert_eq!(code(&settlement), expected, "{kind} through {exchange:?}"),
        }
    }
}

fn requeued(id: &str, data: &Value, redrive_count: u32) -> Received {
    Received {
        redrive_count,
        follow_up: Some(FollowUpKey::DeadLetter(7)),
        ..event(id, data)
    }
}

#[test]
fn a_dead_letter_has_the_bytes_and_the_reason() {
    let mut facts = facts();
    let received = event("1", &update("ghost"));
    decide_at(&received, &mut facts, 10);
    let [dead_letter] = facts.new_dead_letters() else {
        panic!("{:?}", facts.new_dead_letters())
    };
    assert_eq!(
        (dead_letter.code, dead_letter.lane, dead_letter.redrive_count),
        (Code::UnknownDevice, Lane::Events, 0)
    );
    assert_eq!((&dead_letter.body, dead_letter.attempts), (&received.body, 1));
    assert_eq!(dead_letter.place.as_deref(), Some("$.data.hostname"));
}

#[test]
fn a_requeued_message_is_processed_once_for_each_redrive_count() {
    let mut facts = facts();
    let dead = decide_at(&event("1", &update("ghost")), &mut facts, 10);
    assert_eq!(
        decide_at(&event("1", &update("ghost")), &mut facts, 20),
        dead,
        "an old copy"
    );
    let again = decide_at(&requeued("1", &update("ghost"), 1), &mut facts, 30);
    assert_eq!(code(&again), Code::UnknownDevice);
    assert_ne!(again, dead);
    let redrive_counts: Vec<u32> = facts
        .new_dead_letters()
        .iter()
        .map(|dead_letter| dead_letter.redrive_count)
        .collect();
    assert_eq!(
        (&redrive_counts[..], facts.finished_follow_ups()),
        (&[0, 1][..], &[FollowUpKey::DeadLetter(7)][..])
    );
    for redrive_count in [0, 1] {
        assert_eq!(
            decide_at(&requeued("1", &update("ghost"), redrive_count), &mut facts, 40),
            again,
            "this redrive count was processed before"
        );
    }
}

#[test]
fn an_applied_message_is_never_processed_again_whatever_its_redrive_count() {
    let mut facts = facts();
    let applied = decide_at(&event("1", &update("sw1")), &mut facts, 10);
    assert_eq!(
        decide_at(&requeued("1", &update("sw1"), 5), &mut facts, 20),
        applied
    );
    assert!(facts.finished_follow_ups().is_empty());
}

fn settle(work: &Work, received: &Received, facts: &mut Facts) -> Settlement {
    work.decide(received, facts, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_message_without_a_route_is_forwarded_to_its_lane_or_rejected() {
    let route = Work::Route(Arc::new(FleetHandlers::default()));
    let mut facts = facts();
    let event = event("1", &update("sw1"));
    assert_eq!(
        settle(&route, &event, &mut facts),
        Settlement::Forward { lane: Lane::Events }
    );
    let refresh =
        br#"{"specversion":"1.0","id":"2","source":"urn:test","type":"lockstep.repository.refresh-requested",
        "data":{"repository":"settings"}}"#;
    let forwarded = Settlement::Forward {
        lane: Lane::Repositories,
    };
    assert_eq!(settle(&route, &received(refresh), &mut facts), forwarded);
    assert!(facts.new_inbox().is_empty(), "its lane decides");
    let unknown =
        br#"{"specversion":"1.0","id":"3","source":"urn:test","type":"lockstep.nonsense","data":{}}"#;
    assert_eq!(
        code(&settle(&route, &received(unknown), &mut facts)),
        Code::UnknownType
    );
}

#[test]
fn the_dead_letter_of_another_worker_is_written_unless_the_message_was_applied() {
    let limit = Rejection::new(Code::DeliveryLimit, "$", "too often");
    let dead_lettered = |id: &str| Received {
        dead_letter_reason: Some(limit.clone()),
        ..event(id, &update("sw1"))
    };
    let mut facts = facts();
    let applied = decide_at(&event("1", &update("sw1")), &mut facts, 10);
    assert_eq!(
        settle(&Work::WriteDeadLetter, &dead_lettered("1"), &mut facts),
        applied
    );
    assert!(facts.new_dead_letters().is_empty());

    let dead = settle(&Work::WriteDeadLetter, &dead_lettered("2"), &mut facts);
    assert_eq!(code(&dead), Code::DeliveryLimit);
    assert_eq!((facts.new_dead_letters().len(), facts.new_inbox().len()), (1, 2));
    // The message was dead-lettered before; the store keeps one dead letter for each redrive count.
    assert_eq!(
        settle(&Work::WriteDeadLetter, &dead_lettered("2"), &mut facts),
        dead
    );
    assert_eq!((facts.new_dead_letters().len(), facts.new_inbox().len()), (2, 2));
}
