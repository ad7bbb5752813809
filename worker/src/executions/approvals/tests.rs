use std::time::Duration;

use lockstep_protocol::commands::RunLimits;
use serde_json::Value;

use super::super::fixtures::execution;
use super::*;

fn plan(by: Option<&str>) -> ExecutionRow {
    let mut row = execution("sync", Value::Null, RunLimits::default());
    row.request.actor = by.map(str::to_owned);
    row.ended_at = Some(at(0));
    row
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + 60 * minutes).unwrap()
}

fn options() -> SyncOptions {
    let person = |sender: &str, person: &str| (sender.to_owned(), person.to_owned());
    SyncOptions {
        approval_required: true,
        plan_expires: Duration::from_hours(24),
        approval_valid: Duration::from_hours(8),
        persons: [person("anna-amqp", "anna"), person("anna-2", "anna")]
            .into_iter()
            .collect(),
    }
}

/// Approved by this sender, for this many minutes.
fn approved(by: &str, until: i64) -> PlanApproval {
    PlanApproval {
        plan: 7,
        by: by.to_owned(),
        at: at(1),
        expires_at: at(until),
        note: None,
    }
}

#[test]
fn whoever_made_a_plan_does_not_approve_it() {
    let denied = |made_by: Option<&str>, sender: Option<&str>| {
        let rejection = approver(&plan(made_by), sender, &options().persons).err()?;
        Some((rejection.code, rejection.place))
    };
    let own = Some((Code::SelfApproval, PLACE.to_owned()));
    let anonymous = Some((Code::NotAllowed, "$.actor".to_owned()));
    for (made_by, sender, expected) in [
        (Some("anna"), Some("berta"), None),
        (Some("anna"), Some("anna"), own.clone()),
        (Some("anna"), Some("anna-amqp"), own.clone()),
        (Some("anna-2"), Some("anna-amqp"), own.clone()),
        (Some("anna-2"), Some("anna"), own),
        (None, Some("berta"), None),
        (Some("anna"), None, anonymous.clone()),
        (None, None, anonymous),
    ] {
        assert_eq!(denied(made_by, sender), expected, "{made_by:?} {sender:?}");
    }
}

#[test]
fn a_plan_is_applied_only_with_an_approval_by_a_third_person_or_the_one_who_did_not_make_it() {
    let denied = |made_by: Option<&str>, sender: Option<&str>, approvals: &[PlanApproval]| {
        check_approved(
            &plan(made_by),
            approvals,
            sender,
            at(10),
            &options(),
            "$.data.plan",
        )
        .err()
        .map(|rejection| rejection.reason)
    };
    let by_berta = [approved("berta", 60)];
    for (made_by, sender, approvals, expected) in [
        (Some("anna"), Some("anna"), &by_berta[..], None),
        (Some("anna"), Some("carla"), &by_berta, None),
        (None, Some("carla"), &by_berta, None),
        (
            Some("anna"),
            Some("anna"),
            &[],
            Some(
                "plan 7 is not approved: nobody has approved it; somebody other than anna has to approve it \
                 (`lockstep sync approve 7`)",
            ),
        ),
        (
            Some("anna"),
            Some("berta"),
            &by_berta,
            Some(
                "plan 7 is not approved: berta approved it, and so cannot apply it; somebody other than berta and anna has to approve it \
                 (`lockstep sync approve 7`)",
            ),
        ),
        (
            Some("anna"),
            Some("anna"),
            &[approved("berta", 10)],
            Some(
                "plan 7 is not approved: its approval by berta expired at 2026-02-02T02:50:00Z; somebody other than anna has to approve \
                 it (`lockstep sync approve 7`)",
            ),
        ),
        // Rows from before the configuration said who is who.
        (
            Some("anna"),
            Some("carla"),
            &[approved("anna-amqp", 60)],
            Some(
                "plan 7 is not approved: nobody has approved it; somebody other than carla and anna has to approve it \
                 (`lockstep sync approve 7`)",
            ),
        ),
        (
            Some("carla"),
            Some("anna-2"),
            &[approved("anna-amqp", 60)],
            Some(
                "plan 7 is not approved: anna-amqp approved it, and so cannot apply it; somebody other than anna-2 (anna) and carla has to \
                 approve it (`lockstep sync approve 7`)",
            ),
        ),
        (
            Some("anna"),
            Some("berta"),
            &[approved("berta", 60), approved("carla", 60)],
            None,
        ),
        (
            Some("anna"),
            Some("anna"),
            &[approved("berta", 5), approved("carla", 60)],
            None,
        ),
    ] {
        let found = denied(made_by, sender, approvals);
        assert_eq!(found.as_deref(), expected, "{made_by:?} {sender:?}");
    }
    assert!(denied(Some("anna"), None, &by_berta).is_some());
    let not_required = SyncOptions {
        approval_required: false,
        ..options()
    };
    let allowed = check_approved(&plan(None), &[], None, at(10), &not_required, "$.data.plan");
    assert!(allowed.is_ok(), "{allowed:?}");
}

#[test]
fn an_approval_ends_with_its_time_or_with_the_plan() {
    let plan = plan(None);
    assert_eq!(expiry(&plan, at(5), &options()), at(5 + 8 * 60));
    assert_eq!(expiry(&plan, at(23 * 60), &options()), at(24 * 60));
}
