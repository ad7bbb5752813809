mod names;

use lockstep_protocol::results::MessageRejected;
use lockstep_protocol::{Code, DeviceState, DeviceType, Digest, InboxState, MessageId, Source, WorkResult};

use super::*;
use crate::Version;

fn hostname(text: &str) -> Hostname {
    text.parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn unsynchronize(name: &str, cause: Cause) -> DeviceEffect {
    DeviceEffect::Unsynchronize {
        hostname: hostname(name),
        cause,
    }
}

fn flag(name: &str) -> DeviceEffect {
    unsynchronize(name, Cause::InterfaceUpdated)
}

fn synchronize(name: &str) -> DeviceEffect {
    DeviceEffect::Synchronize {
        hostname: hostname(name),
    }
}

fn forget(name: &str) -> DeviceEffect {
    DeviceEffect::ForgetCauses {
        hostname: hostname(name),
    }
}

fn create(name: &str) -> DeviceEffect {
    DeviceEffect::Create {
        hostname: hostname(name),
        attributes: Attributes::of(DeviceType::ACCESS),
        state: DeviceState::Managed,
        version: None,
    }
}

fn r#move(name: &str, state: DeviceState) -> DeviceEffect {
    DeviceEffect::Move {
        hostname: hostname(name),
        state,
        note: None,
        until: None,
        version: None,
    }
}

fn absorb(facts: &mut Facts, second: i64, devices: Vec<DeviceEffect>) -> Vec<String> {
    let effects = Effects {
        devices,
        ..Effects::default()
    };
    absorb_all(facts, second, effects)
}

fn absorb_all(facts: &mut Facts, second: i64, effects: Effects) -> Vec<String> {
    let identity = Identity {
        source: Source::try_from("urn:test".to_owned()).unwrap(),
        id: MessageId::try_from(second.to_string()).unwrap(),
    };
    let from = Origin {
        identity: &identity,
        kind: Kind::InterfaceUpdated,
        actor: None,
        at: at(second),
        reply: None,
    };
    facts
        .absorb(effects, &from)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Facts with a synchronized device `a` and an unsynchronized device `b`.
fn facts() -> Facts {
    let mut created = Facts::default();
    absorb(&mut created, 0, vec![create("a"), create("b"), flag("b")]);
    let mut facts = Facts::default();
    for (id, row) in (1..).zip(created.devices()) {
        facts.add_device(DeviceRow {
            id: Some(id),
            causes: Vec::new(),
            described: false,
            flagged: false,
            ..row.clone()
        });
    }
    facts
}

#[test]
fn a_flip_is_a_flag_that_differs_after_the_message() {
    let table = [
        (vec![flag("a")], vec!["a"]),
        (vec![flag("b")], vec![]),
        (vec![synchronize("a")], vec![]),
        (vec![synchronize("b")], vec!["b"]),
        (vec![flag("a"), flag("b"), flag("a")], vec!["a"]),
        (vec![flag("a"), synchronize("a")], vec![]),
        (vec![synchronize("b"), flag("b")], vec![]),
        (vec![forget("b")], vec![]),
        (vec![flag("nobody")], vec![]),
        (vec![create("new"), flag("new")], vec![]),
        (vec![r#move("a", DeviceState::Unmanaged)], vec![]),
    ];
    for (effects, expected) in table {
        assert_eq!(absorb(&mut facts(), 5, effects.clone()), expected, "{effects:?}");
    }
}

#[test]
fn flips_are_relative_to_the_earlier_messages_of_the_batch() {
    let mut facts = facts();
    assert_eq!(absorb(&mut facts, 5, vec![flag("a")]), ["a"]);
    assert_eq!(absorb(&mut facts, 6, vec![flag("a")]), [""; 0]);
    assert_eq!(absorb(&mut facts, 7, vec![synchronize("a")]), ["a"]);
}

#[test]
fn since_is_the_time_of_the_first_cause_and_restarts_on_return_to_managed() {
    let (unmanaged, managed) = (DeviceState::Unmanaged, DeviceState::Managed);
    let table = [
        ("a", vec![(5, flag("a")), (6, flag("a"))], Some(5)),
        ("b", vec![(5, flag("b"))], Some(0)),
        ("b", vec![(5, synchronize("b"))], None),
        ("b", vec![(5, synchronize("b")), (6, flag("b"))], Some(6)),
        ("b", vec![(5, forget("b"))], Some(0)),
        ("b", vec![(5, r#move("b", managed))], Some(0)),
        ("b", vec![(5, r#move("b", unmanaged))], Some(0)),
        (
            "b",
            vec![(5, r#move("b", unmanaged)), (6, r#move("b", managed))],
            Some(6),
        ),
        (
            "a",
            vec![(5, r#move("a", unmanaged)), (6, r#move("a", managed))],
            None,
        ),
    ];
    for (name, messages, expected) in table {
        let mut facts = facts();
        for (second, effect) in messages.clone() {
            absorb(&mut facts, second, vec![effect]);
        }
        let device = facts.device(&hostname(name)).unwrap();
        assert_eq!(device.sync.since, expected.map(at), "{name} {messages:?}");
    }
}

#[test]
fn the_devices_of_one_message_share_its_causes() {
    let mut facts = facts();
    absorb(&mut facts, 5, vec![flag("a"), flag("b"), flag("a")]);
    absorb(
        &mut facts,
        6,
        vec![flag("a"), unsynchronize("a", Cause::LinknetCreated)],
    );
    let causes: Vec<(Cause, &str)> = facts
        .new_causes()
        .iter()
        .map(|cause| (cause.cause, cause.identity.id.as_str()))
        .collect();
    let expected = [
        (Cause::InterfaceUpdated, "5"),
        (Cause::InterfaceUpdated, "6"),
        (Cause::LinknetCreated, "6"),
    ];
    assert_eq!(causes, expected);
    assert_eq!(facts.device(&hostname("a")).unwrap().causes, [0, 1, 2]);
    assert_eq!(facts.device(&hostname("b")).unwrap().causes, [0]);
    assert_eq!(
        facts.device(&hostname("a")).unwrap().sync.desired,
        5,
        "every flag counts"
    );
}

#[test]
fn forgetting_causes_closes_the_earlier_ones() {
    let table = [
        (vec![flag("a"), forget("a")], vec![], true),
        (vec![forget("a"), flag("a")], vec![0], true),
        (vec![flag("a"), synchronize("a"), flag("a")], vec![0], true),
        (vec![flag("a")], vec![0], false),
    ];
    for (effects, causes, forgets) in table {
        let mut facts = facts();
        absorb(&mut facts, 5, effects.clone());
        let device = facts.device(&hostname("a")).unwrap();
        assert_eq!(
            (&device.causes, device.forgets_causes),
            (&causes, forgets),
            "{effects:?}"
        );
    }
}

#[test]
fn only_changed_columns_are_written() {
    let mut facts = facts();
    absorb(&mut facts, 5, vec![flag("a"), r#move("b", DeviceState::Managed)]);
    let written = |name: &str| {
        let device = facts.device(&hostname(name)).unwrap();
        (device.described, device.flagged)
    };
    assert_eq!((written("a"), written("b")), ((false, true), (true, false)));
}

/// Records a message that was absorbed before, at this second.
fn record(facts: &mut Facts, second: i64, kind: &str) {
    let result = WorkResult::MessageRejected(MessageRejected {
        code: Code::Crashed,
        reason: String::new(),
        place: None,
        message_type: None,
        refused: false,
    });
    facts.record(InboxRow {
        identity: Identity {
            source: Source::try_from("urn:test".to_owned()).unwrap(),
            id: MessageId::try_from(second.to_string()).unwrap(),
        },
        redrive_count: 0,
        kind: kind.into(),
        digest: Digest::of_bytes(b""),
        state: InboxState::Applied,
        at: at(second),
        actor: None,
        subject: None,
        result: result.into(),
        follow_ups: false,
        trace_id: None,
    });
}

#[test]
fn the_first_cause_of_a_message_belongs_to_its_row() {
    let kind = Kind::InterfaceUpdated.as_str();
    let mut facts = facts();
    record(&mut facts, 1, kind);
    absorb(
        &mut facts,
        2,
        vec![flag("a"), unsynchronize("a", Cause::LinknetCreated)],
    );
    record(&mut facts, 2, kind);
    record(&mut facts, 3, kind);
    absorb(&mut facts, 4, vec![flag("a")]);
    record(&mut facts, 5, kind);
    // Of a cause that another row came before, nothing is known any more: it is written by itself.
    record(&mut facts, 4, kind);
    absorb(&mut facts, 6, vec![flag("b")]);
    record(&mut facts, 6, "lockstep.other");
    absorb(&mut facts, 7, vec![flag("b")]);
    record(&mut facts, 7, kind);
    assert_eq!(
        facts.first_causes(),
        [None, Some(0), None, None, None, None, Some(4)]
    );
    assert_eq!(facts.new_causes().len(), 5);
}

/// What is added to histories: the device, what happened, the generation, and the causes of the batch that were closed.
fn history(facts: &Facts) -> Vec<String> {
    let rows = facts.new_history().iter();
    rows.map(|row| {
        let stored = if row.closes_stored { " and stored" } else { "" };
        let new = if row.is_new_device { "new " } else { "" };
        let what = row.what.as_str();
        format!(
            "{new}{} {what} g{} {:?}{stored}",
            row.hostname, row.generation, row.closes
        )
    })
    .collect()
}

#[test]
fn histories_get_what_changed_and_which_causes_it_closed() {
    let mut facts = Facts::default();
    absorb(&mut facts, 1, vec![create("sw1")]);
    let mut stored = facts.device(&hostname("sw1")).unwrap().clone();
    stored.id = Some(1);
    stored.sync.desired = 3;
    let mut facts = Facts::default();
    facts.add_device(stored);
    absorb(
        &mut facts,
        1,
        vec![r#move("sw1", DeviceState::Managed), flag("sw1")],
    );
    absorb(
        &mut facts,
        2,
        vec![r#move("sw1", DeviceState::Unmanaged), forget("sw1")],
    );
    absorb(
        &mut facts,
        3,
        vec![flag("sw1"), synchronize("sw1"), synchronize("sw1")],
    );
    absorb(
        &mut facts,
        4,
        vec![
            create("sw2"),
            flag("sw2"),
            synchronize("sw2"),
            flag("sw9"),
            synchronize("sw9"),
        ],
    );
    let expected = [
        "sw1 moved g4 []",
        "sw1 causes-closed g4 [0] and stored",
        "sw1 synchronized g5 [1]",
        "new sw2 created g1 []",
        "new sw2 synchronized g2 [2]",
    ];
    assert_eq!(history(&facts), expected);
}

#[test]
fn the_history_of_a_renamed_device_has_its_new_name_and_a_removed_one_has_none() {
    let version = || Version {
        time: at(1),
        id: MessageId::try_from("1".to_owned()).unwrap(),
    };
    let mut facts = Facts::default();
    absorb(&mut facts, 1, vec![create("sw1"), create("sw2")]);
    let rename = DeviceEffect::Rename {
        hostname: hostname("sw1"),
        to: hostname("sw3"),
        version: version(),
    };
    absorb(&mut facts, 2, vec![rename]);
    let remove = DeviceEffect::Remove {
        hostname: hostname("sw2"),
        version: version(),
    };
    absorb(&mut facts, 3, vec![remove]);
    assert_eq!(
        history(&facts),
        ["new sw3 created g1 []", "new sw3 renamed g1 []"]
    );
    let change = &facts.new_history()[1].change;
    assert_eq!(
        (change.from.as_deref(), change.to.as_deref()),
        (Some("sw1"), Some("sw3"))
    );
}
