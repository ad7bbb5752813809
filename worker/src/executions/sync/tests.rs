use std::time::Duration;

use lockstep_protocol::commands::RunLimits;
use lockstep_protocol::{ExecutionState, Hostname};

use super::super::fixtures::execution;
use super::*;

fn request(data: Value) -> SyncRequested {
    serde_json::from_value(data).unwrap()
}

const ID: &str = "0195518f-2a00-5010-9c2e-4f6a8b0d1e3f";

/// The code and the place of the rejection of a request, at a site that requires plans or does not.
fn rejected(data: &Value, is_required: bool) -> Option<(Code, String)> {
    let options = SyncOptions {
        approval_required: is_required,
        ..SyncOptions::default()
    };
    let rejection = check(&request(data.clone()), &options).err()?;
    Some((rejection.code, rejection.place))
}

fn invalid(place: &str) -> (Code, String) {
    (Code::InvalidData, place.to_owned())
}

#[test]
fn a_request_says_exactly_which_devices_and_may_need_a_plan() {
    let plan_required = (Code::PlanRequired, "$.data.dry_run".to_owned());
    let host = json!({"hostname": "sw1"});
    let live = json!({"targets": "all", "dry_run": false});
    let table = [
        (json!({"targets": "all"}), true, None),
        (
            json!({"targets": host, "resync": true, "force": true}),
            true,
            None,
        ),
        (live.clone(), false, None),
        (live, true, Some(plan_required)),
        (json!({"plan": ID, "dry_run": false}), true, None),
        (json!({"rollback": ID, "force": true}), true, None),
        (json!({}), false, Some(invalid("$.data"))),
        (
            json!({"targets": "all", "plan": ID, "dry_run": false}),
            false,
            Some(invalid("$.data")),
        ),
        (
            json!({"rollback": ID, "plan": ID}),
            false,
            Some(invalid("$.data")),
        ),
        (json!({"plan": ID}), false, Some(invalid("$.data.dry_run"))),
        (
            json!({"plan": ID, "dry_run": false, "force": true}),
            false,
            Some(invalid("$.data.force")),
        ),
        (
            json!({"plan": ID, "dry_run": false, "resync": true}),
            false,
            Some(invalid("$.data.resync")),
        ),
        (
            json!({"rollback": ID, "dry_run": false}),
            false,
            Some(invalid("$.data.dry_run")),
        ),
    ];
    for (data, is_required, expected) in table {
        assert_eq!(rejected(&data, is_required), expected, "{data}");
    }
}

#[test]
fn what_an_action_does_not_take_is_refused() {
    let host = || json!({"hostname": "sw1"});
    let commit = "a".repeat(40);
    let table = [
        (
            json!({"plan": ID, "dry_run": false, "action": "render"}),
            Some(invalid("$.data.action")),
        ),
        (json!({"targets": "all", "action": "drift"}), None),
        (
            json!({"targets": "all", "action": "drift", "dry_run": false}),
            None,
        ),
        (
            json!({"targets": host(), "action": "accept-drift", "dry_run": false}),
            None,
        ),
        (
            json!({"targets": "all", "action": "accept-drift"}),
            Some(invalid("$.data.targets")),
        ),
        (
            json!({"targets": "all", "action": "list-sessions"}),
            Some(invalid("$.data.targets")),
        ),
        (json!({"targets": host(), "action": "list-sessions"}), None),
        (
            json!({"targets": host(), "action": "abort-session", "session": "s", "dry_run": false}),
            None,
        ),
        (
            json!({"targets": host(), "action": "abort-session"}),
            Some(invalid("$.data.session")),
        ),
        (
            json!({"targets": host(), "session": "s"}),
            Some(invalid("$.data.session")),
        ),
        (
            json!({"targets": host(), "action": "render", "commit": commit}),
            None,
        ),
        (
            json!({"targets": host(), "commit": commit}),
            Some(invalid("$.data.commit")),
        ),
    ];
    for (data, expected) in table {
        assert_eq!(rejected(&data, true), expected, "{data}");
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
        let reason = check_plan(&row, now, &SyncOptions::default())
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

#[test]
fn a_result_tells_the_masked_difference_and_its_score() {
    let finished = ElementFinished {
        execution: Uuid::nil(),
        entity_type: lockstep_protocol::EntityType::Device,
        entity: 1,
        hostname: None,
        state: lockstep_protocol::ElementState::Successful,
        outcome: lockstep_protocol::ElementOutcome::Done,
        reason: None,
        message: None,
        changed: true,
        diff: None,
        change_score: None,
    };
    let table = [
        (json!({"diff": "+ x", "change_score": 3.5}), Some("+ x"), Some(4)),
        (json!({"diff": "", "change_score": 0.49}), Some(""), Some(0)),
        (
            json!({"diff": "+ x", "change_score": 1e9}),
            Some("+ x"),
            Some(100),
        ),
        (json!({"diff": null, "change_score": -1.0}), None, Some(0)),
        (Value::Null, None, None),
    ];
    for (data, diff, score) in table {
        let told = told(&ended(PROVIDER, Value::Null, true), finished.clone(), &data);
        assert_eq!((told.diff.as_deref(), told.change_score), (diff, score), "{data}");
        let other = super::told(&ended("ping", Value::Null, true), finished.clone(), &data);
        assert_eq!(other, finished);
    }
}
