use std::time::Duration;

use lockstep_protocol::commands::RunLimits;
use lockstep_protocol::{ExecutionState, Hostname};

use super::super::fixtures::execution;
use super::*;

fn request(data: Value) -> SyncRequested {
    serde_json::from_value(data).unwrap()
}

const ID: &str = "0195518f-2a00-5010-9c2e-4f6a8b0d1e3f";

#[test]
fn a_request_says_exactly_what_it_is_about() {
    let free = SyncOptions::default();
    let required = SyncOptions {
        approval_required: true,
        ..free
    };
    let host = json!({"hostname": "sw1"});
    // what is requested, whether plans are required; the code and the place of the rejection
    let table = [
        (json!({"targets": "all"}), true, None),
        (
            json!({"targets": host, "resync": true, "force": true}),
            true,
            None,
        ),
        (json!({"targets": "all", "dry_run": false}), false, None),
        (
            json!({"targets": "all", "dry_run": false}),
            true,
            Some((Code::PlanRequired, "$.data.dry_run")),
        ),
        (json!({"plan": ID, "dry_run": false}), true, None),
        (json!({"rollback": ID}), true, None),
        (json!({"rollback": ID, "force": true}), true, None),
        (json!({}), false, Some((Code::InvalidData, "$.data"))),
        (
            json!({"targets": "all", "plan": ID, "dry_run": false}),
            false,
            Some((Code::InvalidData, "$.data")),
        ),
        (
            json!({"rollback": ID, "plan": ID}),
            false,
            Some((Code::InvalidData, "$.data")),
        ),
        (
            json!({"plan": ID}),
            false,
            Some((Code::InvalidData, "$.data.dry_run")),
        ),
        (
            json!({"plan": ID, "dry_run": false, "force": true}),
            false,
            Some((Code::InvalidData, "$.data.force")),
        ),
        (
            json!({"plan": ID, "dry_run": false, "resync": true}),
            false,
            Some((Code::InvalidData, "$.data.resync")),
        ),
        (
            json!({"rollback": ID, "dry_run": false}),
            false,
            Some((Code::InvalidData, "$.data.dry_run")),
        ),
        (
            json!({"plan": ID, "dry_run": false, "action": "render"}),
            false,
            Some((Code::InvalidData, "$.data.action")),
        ),
        (json!({"targets": "all", "action": "drift"}), true, None),
        (
            json!({"targets": "all", "action": "drift", "dry_run": false}),
            true,
            None,
        ),
        (
            json!({"targets": host, "action": "accept-drift", "dry_run": false}),
            true,
            None,
        ),
        (
            json!({"targets": "all", "action": "accept-drift"}),
            false,
            Some((Code::InvalidData, "$.data.targets")),
        ),
        (
            json!({"targets": "all", "action": "list-sessions"}),
            false,
            Some((Code::InvalidData, "$.data.targets")),
        ),
        (json!({"targets": host, "action": "list-sessions"}), true, None),
        (
            json!({"targets": host, "action": "abort-session", "session": "s", "dry_run": false}),
            true,
            None,
        ),
        (
            json!({"targets": host, "action": "abort-session"}),
            false,
            Some((Code::InvalidData, "$.data.session")),
        ),
        (
            json!({"targets": host, "session": "s"}),
            false,
            Some((Code::InvalidData, "$.data.session")),
        ),
        (
            json!({"targets": host, "action": "render", "commit": "a".repeat(40)}),
            true,
            None,
        ),
        (
            json!({"targets": host, "commit": "a".repeat(40)}),
            false,
            Some((Code::InvalidData, "$.data.commit")),
        ),
    ];
    for (data, is_required, expected) in table {
        let options = if is_required { required } else { free };
        let rejected = check(&request(data.clone()), options).err();
        let found = rejected
            .as_ref()
            .map(|rejection| (rejection.code, rejection.place.as_str()));
        assert_eq!(found, expected, "{data}");
    }
}

#[test]
fn the_arguments_say_what_was_requested_and_nothing_else() {
    let hostname: Hostname = "sw1".parse().unwrap();
    let whole = json!({"targets": {"hostname": hostname}, "action": "abort-session", "session": "s1", "note": "why", "resync": true});
    let expected = json!({"action": "abort-session", "force": false, "targets": {"hostname": "sw1"}, "session": "s1", "note": "why",
        "resync": true});
    assert_eq!(arguments(&request(whole), false), expected);
    let plan = json!({"plan": ID, "dry_run": false, "limits": {"canary": 1}});
    let expected = json!({"action": "synchronize", "force": true, "plan": ID});
    assert_eq!(arguments(&request(plan), true), expected);
}

fn ended(provider: &str, arguments: Value, dry_run: bool) -> ExecutionRow {
    let mut row = execution(provider, arguments, RunLimits::default());
    row.request.requested.dry_run = dry_run;
    row.state = ExecutionState::Aborted;
    row.ended_at = Some(Timestamp::UNIX_EPOCH);
    row
}

#[test]
fn only_a_young_ended_dry_run_of_a_sync_is_a_plan() {
    let synchronize = || json!({"action": "synchronize", "force": false});
    let running = ExecutionRow {
        state: ExecutionState::Running,
        ended_at: None,
        ..ended(PROVIDER, synchronize(), true)
    };
    let hour = |hours: u64| Timestamp::UNIX_EPOCH + Duration::from_hours(hours);
    let table = [
        (ended(PROVIDER, synchronize(), true), hour(24), ""),
        (
            ended(PROVIDER, synchronize(), true),
            hour(25),
            "plans expire after 24 h",
        ),
        (ended(PROVIDER, synchronize(), false), hour(1), "is no plan"),
        (
            ended(PROVIDER, json!({"action": "drift"}), true),
            hour(1),
            "is no plan",
        ),
        (ended("ping", synchronize(), true), hour(1), "is no plan"),
        (running, hour(1), "has not ended"),
    ];
    for (row, now, expected) in table {
        let reason = check_plan(&row, now, SyncOptions::default())
            .err()
            .unwrap_or_default();
        assert!(
            reason.contains(expected) && reason.is_empty() == expected.is_empty(),
            "{reason}"
        );
    }
}

#[test]
fn only_what_pushed_is_taken_back_when_it_has_ended() {
    let running = ExecutionRow {
        state: ExecutionState::Running,
        ..ended(PROVIDER, Value::Null, false)
    };
    let table = [
        (ended(PROVIDER, Value::Null, false), None),
        (ended(PROVIDER, Value::Null, true), Some(Code::InvalidData)),
        (ended("ping", Value::Null, false), Some(Code::InvalidData)),
        (running, Some(Code::ExecutionNotEnded)),
    ];
    for (row, expected) in table {
        let code = check_rollback(&row, "$").err().map(|rejection| rejection.code);
        assert_eq!(code, expected, "{row:?}");
    }
}
