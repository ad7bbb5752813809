use bytes::Bytes;
use lockstep_bus::{Delivery, Properties};
use lockstep_protocol::results::{EventApplied, Outcome};
use lockstep_protocol::topology;
use serde_json::{Value, json};

use super::*;
use crate::handlers::FleetHandlers;
use crate::runtime::TrustedUsers;
use crate::runtime::intake::receive;
use lockstep_store::{Attributes, DeviceRow, FollowUpKey, Lifecycle, SyncState};

fn received(body: &[u8]) -> Received {
    let delivery = Delivery {
        body: Bytes::copy_from_slice(body),
        properties: Properties::default(),
        exchange: topology::EVENTS.to_owned(),
        routing_key: String::new(),
        redelivered: false,
    };
    receive(
        delivery,
        Lane::Events,
        &TrustedUsers::default(),
        Timestamp::UNIX_EPOCH,
    )
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
    facts.know_device(DeviceRow {
        id: Some(1),
        hostname: "sw1".parse().unwrap(),
        attributes: Attributes::of(lockstep_protocol::DeviceType::Access),
        lifecycle: Lifecycle {
            state: lockstep_protocol::DeviceState::Managed,
            note: None,
            until: None,
            version: None,
        },
        sync: SyncState::SYNCHRONIZED,
        groups: None,
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
        &FleetHandlers,
        Timestamp::from_second(second).unwrap(),
    )
}

fn code(settlement: &Settlement) -> Code {
    match settlement {
        Settlement::Dead(row) => match &row.result {
            WorkResult::MessageRejected(rejected) => rejected.code,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_message_twice_is_applied_once_and_answered_alike() {
    let mut facts = facts();
    let first = decide_at(&event("1", &update("sw1")), &mut facts, 10);
    let second = decide_at(&event("1", &update("sw1")), &mut facts, 20);
    assert_eq!(first, second);
    assert_eq!(facts.new_inbox().len(), 1);
    assert_eq!(facts.device(&"sw1".parse().unwrap()).unwrap().sync.desired, 2);
    let Settlement::Applied(row) = first else {
        panic!("{first:?}")
    };
    let WorkResult::EventApplied(EventApplied { outcome, flipped, .. }) = &row.result else {
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
    assert_ne!(row.identity, event("1", &status).identity);
    assert_eq!(facts.device(&"sw1".parse().unwrap()).unwrap().sync.desired, 2);
}

#[test]
fn what_cannot_be_worked_is_dead_with_a_code() {
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

#[test]
fn a_message_of_a_newer_worker_waits_without_an_inbox_row() {
    let body =
        br#"{"specversion":"1.0","id":"1","source":"urn:test","type":"lockstep.internal.stage","data":{}}"#;
    let mut facts = facts();
    assert_eq!(
        decide_at(&received(body), &mut facts, 10),
        Settlement::Postpone {
            delay: RetryDelay::Seconds30
        }
    );
    assert!(facts.new_inbox().is_empty());
}

fn requeued(id: &str, data: &Value, redrive_count: u32) -> Received {
    Received {
        redrive_count,
        follow_up: Some(FollowUpKey::DeadLetter(7)),
        ..event(id, data)
    }
}

#[test]
fn a_dead_letter_has_the_bytes_and_why() {
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
fn what_is_requeued_is_worked_once_more_in_each_redrive_count() {
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
            "it is known how this redrive_count ended"
        );
    }
}

#[test]
fn an_applied_message_is_never_worked_again_whatever_its_redrive_count() {
    let mut facts = facts();
    let applied = decide_at(&event("1", &update("sw1")), &mut facts, 10);
    assert_eq!(
        decide_at(&requeued("1", &update("sw1"), 5), &mut facts, 20),
        applied
    );
    assert!(facts.finished_follow_ups().is_empty());
}

fn work(work: &Work, received: &Received, facts: &mut Facts) -> Settlement {
    work.decide(received, facts, Timestamp::UNIX_EPOCH)
}

#[test]
fn what_lost_its_way_goes_home_or_is_rejected() {
    let route = Work::Route(Arc::new(FleetHandlers));
    let mut facts = facts();
    let event = event("1", &update("sw1"));
    assert_eq!(
        work(&route, &event, &mut facts),
        Settlement::Forward { lane: Lane::Events }
    );
    let refresh =
        br#"{"specversion":"1.0","id":"2","source":"urn:test","type":"lockstep.repository.refresh-requested",
        "data":{"repository":"settings"}}"#;
    let forwarded = Settlement::Forward {
        lane: Lane::Repositories,
    };
    assert_eq!(work(&route, &received(refresh), &mut facts), forwarded);
    assert!(facts.new_inbox().is_empty(), "its lane decides");
    let unknown =
        br#"{"specversion":"1.0","id":"3","source":"urn:test","type":"lockstep.nonsense","data":{}}"#;
    assert_eq!(
        code(&work(&route, &received(unknown), &mut facts)),
        Code::UnknownType
    );
}

#[test]
fn what_died_elsewhere_is_filed_once_and_an_applied_message_cannot_die() {
    let limit = Rejection::new(Code::DeliveryLimit, "$", "too often");
    let died = |id: &str| Received {
        dead_letter_reason: Some(limit.clone()),
        ..event(id, &update("sw1"))
    };
    let mut facts = facts();
    let applied = decide_at(&event("1", &update("sw1")), &mut facts, 10);
    assert_eq!(work(&Work::File, &died("1"), &mut facts), applied);
    assert!(facts.new_dead_letters().is_empty());

    let dead = work(&Work::File, &died("2"), &mut facts);
    assert_eq!(code(&dead), Code::DeliveryLimit);
    assert_eq!((facts.new_dead_letters().len(), facts.new_inbox().len()), (1, 2));
    // The letter of a message that was dead before: the store keeps one for each epoch.
    assert_eq!(work(&Work::File, &died("2"), &mut facts), dead);
    assert_eq!((facts.new_dead_letters().len(), facts.new_inbox().len()), (2, 2));
}
