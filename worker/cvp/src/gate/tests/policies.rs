//! Tests evidence beside the task, and the settings of the policy.

use serde_json::{Value, json};

use super::case::Case;
use crate::ComplianceCode;
use crate::gate::{Attachment, ChangeControlPolicy, TaskDiffPolicy};

/// The reasons to keep a task.
type Names = &'static [&'static str];

/// A description, a change of the evidence, and the reasons to keep the task.
type Known = (&'static str, fn(&mut Case), Names);

/// A change of the evidence.
type Change<'a> = &'a dyn Fn(&mut Case);

#[test]
fn evidence_beside_the_task_counts() {
    let table: Vec<Known> = vec![
        (
            "compliance unreadable",
            |case| case.compliance = Value::Null,
            &["compliance-unreadable"],
        ),
        (
            "diff unreadable",
            |case| case.diff = Value::Null,
            &["task-diff-unreadable"],
        ),
        ("diff absent", |case| case.diff = json!("absent"), &[]),
        (
            "held",
            |case| case.attachment = Attachment::Held,
            &["change-control"],
        ),
        (
            "unknown",
            |case| case.attachment = Attachment::Unknown,
            &["change-controls-unreadable"],
        ),
        ("two tasks", |case| case.tasks_on_device = 2, &["several-tasks"]),
        ("young", |case| case.age_ms = 59_999, &["too-young"]),
        (
            "first reading",
            |case| case.earlier = Value::Null,
            &["second-reading-due"],
        ),
        (
            "too soon",
            |case| case.since_reading_ms = 499,
            &["second-reading-due"],
        ),
        (
            "clock went back",
            |case| case.since_reading_ms = -1,
            &["second-reading-due"],
        ),
        (
            "was not compliant",
            |case| case.earlier_code = "0001",
            &["not-compliant", "changed"],
        ),
        (
            "another device",
            |case| case.earlier["netElementId"] = json!("x"),
            &["changed"],
        ),
        (
            "another time",
            |case| case.earlier["createdOnInLongFormat"] = json!(1),
            &["changed"],
        ),
        (
            "our note",
            |case| case.task["note"] = json!("Lockstep: found empty"),
            &[],
        ),
    ];
    for (what, change, expected) in table {
        let mut case = Case::empty();
        change(&mut case);
        assert_eq!(case.names(), expected, "{what}");
    }
}

#[test]
fn each_setting_has_only_its_own_effect() {
    let unavailable = |case: &mut Case| case.policy.change_controls = ChangeControlPolicy::Unavailable;
    let no_diff = |case: &mut Case| case.policy.task_diff = TaskDiffPolicy::Unavailable;
    let need_diff = |case: &mut Case| case.policy.task_diff = TaskDiffPolicy::Required;
    let widened = |case: &mut Case| {
        case.policy.codes.insert(ComplianceCode::Time);
    };
    let timed = |case: &mut Case| {
        case.policy.codes.insert(ComplianceCode::Time);
        case.compliance["complianceCode"] = json!("0019");
        case.compliance["complianceIndication"] = json!("WARNING");
        case.earlier_code = "0019";
    };
    let table: Vec<(&str, Vec<Change<'_>>, Names)> = vec![
        (
            "old release",
            vec![&unavailable, &|case| case.attachment = Attachment::Unknown],
            &[],
        ),
        (
            "a change control that can be read counts",
            vec![&unavailable, &|case| case.attachment = Attachment::Held],
            &["change-control"],
        ),
        (
            "no rights for the diff",
            vec![&no_diff, &|case| case.diff = Value::Null],
            &[],
        ),
        (
            "a diff that can be read counts",
            vec![&no_diff, &|case| case.diff["add"] = json!(1)],
            &["task-diff", "disagreement"],
        ),
        (
            "diff required",
            vec![&need_diff, &|case| case.diff = json!("absent")],
            &["task-diff-absent"],
        ),
        (
            "diff required and unreadable",
            vec![&need_diff, &|case| case.diff = Value::Null],
            &["task-diff-unreadable"],
        ),
        ("widened, and in sync", vec![&widened], &[]),
        ("widened, with the allowed code", vec![&timed], &[]),
        (
            "widened needs the diff",
            vec![&timed, &|case| case.diff = json!("absent")],
            &["task-diff-absent"],
        ),
        (
            "widened needs the diff, whatever is opted out",
            vec![&timed, &no_diff, &|case| case.diff = Value::Null],
            &["task-diff-absent"],
        ),
        (
            "widened, other code",
            vec![&widened, &|case| {
                case.compliance["complianceCode"] = json!("0018");
            }],
            &["not-compliant", "changed"],
        ),
        (
            "widened, code changed",
            vec![&timed, &|case| case.earlier_code = "0000"],
            &["changed"],
        ),
        (
            "widened does not allow what overrides the code",
            vec![&timed, &|case| case.compliance["unAuthorized"] = json!(true)],
            &["unauthorized"],
        ),
    ];
    for (what, changes, expected) in table {
        let mut case = Case::empty();
        for change in changes {
            change(&mut case);
        }
        assert_eq!(case.names(), expected, "{what}");
    }
}
