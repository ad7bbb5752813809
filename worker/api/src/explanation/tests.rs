use lockstep_protocol::results::{CommandApplied, EventApplied, ExecutionAccepted, Outcome, Scope};
use lockstep_protocol::{ExecutionState, Identity};
use lockstep_store::{CauseId, HistoryChange, HistoryPosition, HistoryRow};
use serde_json::json;

use super::*;
use crate::fakes::device;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn identity(id: &str) -> Identity {
    serde_json::from_value(json!({"source": "urn:test", "id": id})).unwrap()
}

fn cause_row(id: &str, cause: &str, second: i64) -> CauseRow {
    CauseRow {
        cause: cause.to_owned(),
        identity: identity(id),
        kind: "lockstep.interface.updated".to_owned(),
        actor: Some("netbox".to_owned()),
        at: at(second),
        note: None,
        detail: None,
    }
}

fn got(id: &str, second: i64) -> HistoryEntry {
    HistoryEntry {
        position: HistoryPosition::before(at(second)),
        event: HistoryEvent::Unsynchronized {
            cause: cause_row(id, "interface_updated", second),
            open: false,
        },
    }
}

fn changed(what: HistoryWhat, second: i64) -> HistoryEntry {
    HistoryEntry {
        position: HistoryPosition::before(at(second)),
        event: HistoryEvent::Changed {
            row: HistoryRow {
                number: second,
                at: at(second),
                what: what.as_str().to_owned(),
                identity: identity("h"),
                kind: "lockstep.sync.requested".to_owned(),
                actor: None,
                note: None,
                change: HistoryChange::default(),
                generation: 1,
                causes: vec![CauseId(1)],
            },
            expired: 0,
        },
    }
}

fn execution(number: u64, provider: &str, arguments: Value, second: i64) -> ExecutionRow {
    let mut row = crate::console::tests::executions::execution(number, provider, ExecutionState::Successful);
    row.id = Uuid::from_u128(number.into());
    row.request.provider = provider.to_owned();
    row.request.task_arguments = arguments;
    row.request.relaunch_of = None;
    row.request.at = at(second);
    row
}

fn applied(devices: usize, truncated: bool) -> WorkResult {
    WorkResult::EventApplied(EventApplied {
        outcome: Outcome::Applied,
        reason: None,
        scope: Scope::Devices,
        flipped: 7,
        devices: (0..devices)
            .map(|index| format!("sw{index:03}").parse().unwrap())
            .collect(),
        truncated,
        unknown_hostnames: Vec::new(),
        commit: None,
        rejected: Vec::new(),
        marked: Vec::new(),
        warnings: Vec::new(),
    })
}

#[test]
fn the_devices_of_a_message_are_bounded_and_counted() {
    for (devices, truncated, first, more) in [(0, false, 0, 0), (3, false, 3, 0), (1000, true, 10, 990)] {
        let found = concerned(&applied(devices, truncated));
        assert_eq!(
            (found.first.len(), found.more, found.truncated),
            (first, more, truncated)
        );
        assert_eq!(found.flagged, Some(7));
    }
    let id = Uuid::from_u128(4);
    let command = |execution| {
        WorkResult::CommandApplied(CommandApplied {
            changed: true,
            message: String::new(),
            number: None,
            execution,
        })
    };
    assert_eq!(concerned(&command(None)), Concerned::default());
    let accepted = WorkResult::ExecutionAccepted(ExecutionAccepted {
        execution: id,
        elements: 1,
        dry_run: true,
        actor: None,
    });
    for (result, expected) in [
        (applied(1, false), None),
        (command(None), None),
        (command(Some(id)), Some(id)),
        (accepted, Some(id)),
    ] {
        assert_eq!(execution_of(&result), expected);
    }
}

#[test]
fn an_execution_found_the_causes_open_that_came_after_the_last_synchronization() {
    let ids = |history: Vec<HistoryEntry>| -> Vec<String> {
        let causes = open_causes(history).into_iter();
        causes.map(|cause| cause.identity.id.into()).collect()
    };
    let moved = || changed(HistoryWhat::Moved, 25);
    for (history, expected) in [
        (vec![], vec![]),
        (vec![got("3", 30), moved(), got("2", 20)], vec!["2", "3"]),
        (
            vec![got("3", 30), changed(HistoryWhat::Synchronized, 22), got("2", 20)],
            vec!["3"],
        ),
        (vec![changed(HistoryWhat::CausesClosed, 22), got("2", 20)], vec![]),
    ] {
        assert_eq!(ids(history), expected);
    }
}

#[test]
fn causes_are_shown_once_with_their_rules_and_the_newest_if_there_are_many() {
    let rules = |kind: &str, cause: &str| {
        vec![RuleView {
            event: kind.to_owned(),
            devices: cause.to_owned(),
        }]
    };
    let rows = vec![
        cause_row("2", "refresh_settings", 20),
        cause_row("1", "interface_updated", 10),
        cause_row("2", "refresh_settings", 20),
    ];
    let (shown, left_out) = causes(rows, rules);
    let names: Vec<&str> = shown.iter().map(|one| one.cause.cause.as_str()).collect();
    assert_eq!(
        (names, left_out),
        (vec!["interface_updated", "refresh_settings"], 0)
    );
    assert_eq!(shown[0].rules[0].devices, "interface_updated");
    let many = (0..25).map(|second| cause_row(&second.to_string(), "x", second));
    let (shown, left_out) = causes(many.collect(), rules);
    assert_eq!((shown.len(), left_out), (20, 5));
    assert_eq!(shown[0].cause.id, "5");
}

#[test]
fn executions_belong_together_by_what_they_name_and_by_time() {
    let id = |number: u64| Uuid::from_u128(number.into());
    let plan = execution(1, "sync", json!({}), 10);
    let apply = execution(2, "sync", json!({"plan": id(1)}), 20);
    let back = execution(3, "sync", json!({"rollback": id(2)}), 30);
    let other = execution(4, "sync", json!({}), 40);
    let task = execution(5, "command", json!({"plan": id(1)}), 50);
    let all = [&plan, &apply, &back, &other, &task];
    let numbers = |related: Related<'_>| -> Vec<u64> {
        let found = all.into_iter().filter(|row| related.contains(row));
        found.map(|row| row.number).collect()
    };
    for (related, expected) in [
        (Related::About(&plan), vec![1, 2]),
        (Related::About(&apply), vec![1, 2, 3]),
        (Related::About(&back), vec![2, 3]),
        (Related::About(&task), vec![5]),
        (Related::Since(at(20)), vec![2, 3, 4]),
        (Related::Since(at(60)), vec![]),
    ] {
        assert_eq!(numbers(related), expected, "{related:?}");
    }
}

#[test]
fn what_is_not_allowed_names_the_part_and_the_right() {
    let none = Rights {
        devices: false,
        executions: false,
        device_output: false,
    };
    let names: Vec<String> = none.missing(false).into_iter().map(|part| part.needs).collect();
    assert_eq!(names, ["messages", "devices", "executions", "device-output"]);
    let all = Rights {
        devices: true,
        executions: true,
        device_output: true,
    };
    assert!(all.missing(true).is_empty());
}

#[test]
fn devices_are_shown_by_name() {
    let shown = devices(&[device(2, "sw2", false), device(1, "sw1", true)]);
    let names: Vec<&str> = shown.iter().map(|device| device.hostname.as_str()).collect();
    assert_eq!(names, ["sw1", "sw2"]);
    assert!(shown[0].synced_generation >= shown[0].desired_generation);
    assert!(shown[1].synced_generation < shown[1].desired_generation);
}
