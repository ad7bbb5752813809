//! Each violated condition keeps the task with its reason.

use serde_json::{Value, json};

use super::case::{CREATED, Case, Part};

/// A field, its value, and the reasons to keep the task.
type Row = (&'static str, Value, &'static [&'static str]);

fn check(part: Part, table: Vec<Row>) {
    for (pointer, value, expected) in table {
        let names = Case::empty().with(part, pointer, Some(&value)).names();
        assert_eq!(names, *expected, "{pointer} = {value}");
    }
}

#[test]
fn a_plain_empty_task_is_cancelled() {
    assert_eq!(Case::empty().names(), Vec::<String>::new());
}

#[test]
fn a_task_that_violates_a_condition_is_kept() {
    check(
        Part::Task,
        vec![
            (
                "/workOrderUserDefinedStatus",
                json!("Completed"),
                &["not-pending"],
            ),
            ("/workOrderUserDefinedStatus", json!("Failed"), &["not-pending"]),
            (
                "/workOrderUserDefinedStatus",
                json!("Configlet Push In Progress"),
                &["not-pending"],
            ),
            ("/workOrderUserDefinedStatus", json!("PENDING"), &["not-pending"]),
            ("/workOrderId", json!(""), &["several-tasks", "task-unreadable"]),
            ("/currentTaskName", json!("Execute"), &["busy"]),
            ("/taskStatus", json!("Task Update In Progress"), &["busy"]),
            ("/taskStatus", json!("COMPLETED"), &["busy"]),
            ("/taskStatusBeforeCancel", json!("ACTIVE"), &["busy"]),
            ("/executedBy", json!("bob"), &["busy"]),
            ("/executedOnInLongFormat", json!(1), &["busy"]),
            ("/ccId", json!("7"), &["change-control"]),
            ("/ccIdV2", json!("7"), &["change-control"]),
            ("/stageId", json!("s"), &["change-control"]),
            ("/data/ccId", json!("7"), &["change-control"]),
            ("/createdOnInLongFormat", json!(CREATED + 1), &["too-young"]),
            ("/createdOnInLongFormat", json!(CREATED + 120_000), &["too-young"]),
            ("/createdOnInLongFormat", json!(0), &["too-young"]),
            ("/createdOnInLongFormat", json!(-1), &["too-young"]),
            ("/createdOnInLongFormat", json!(i64::MAX), &["too-young"]),
            (
                "/data/WORKFLOW_ACTION",
                json!("Image Push"),
                &["not-configuration"],
            ),
            ("/data/WORKFLOW_ACTION", json!(""), &["not-configuration"]),
            ("/data/VIEW", json!("IMAGE"), &["not-configuration"]),
            ("/data/VIEW", json!("CONFIG_IMAGE"), &["not-configuration"]),
            ("/data/IS_ADD_OR_MOVE_FLOW", json!(true), &["move"]),
            ("/data/IS_ADD_OR_MOVE_FLOW", json!("true"), &["move"]),
            ("/data/newparentContainerId", json!("container_8"), &["move"]),
            ("/data/newparentContainerId", Value::Null, &["move"]),
            ("/data/currentparentContainerId", json!(""), &["move"]),
            (
                "/data/currentparentContainerId",
                json!([]),
                &["move", "unreadable:currentparentContainerId"],
            ),
            ("/data/isRollbackTask", json!(true), &["rollback"]),
            ("/data/isRollbackFromSnapshotFlow", json!("true"), &["rollback"]),
            ("/data/ZERO_TOUCH_REPLACEMENT", json!("true"), &["replacement"]),
            ("/netElementId", json!("aa:bb:cc:00:00:02"), &["disagreement"]),
            (
                "/workOrderDetails/netElementId",
                json!("aa:bb:cc:00:00:02"),
                &["disagreement"],
            ),
            (
                "/data/NETELEMENT_ID",
                json!("aa:bb:cc:00:00:02"),
                &["disagreement"],
            ),
            ("/workOrderDetails/serialNumber", json!("SN2"), &["disagreement"]),
        ],
    );
}

#[test]
fn a_device_that_violates_a_condition_keeps_the_task() {
    let other_task = json!([{"workOrderId": "1812", "workOrderUserDefinedStatus": "Pending"}]);
    check(
        Part::Compliance,
        vec![
            ("/complianceCode", json!("0001"), &["not-compliant", "changed"]),
            ("/complianceCode", json!("0004"), &["not-compliant", "changed"]),
            ("/complianceCode", json!("0000 "), &["not-compliant", "changed"]),
            ("/complianceCode", json!("0020"), &["not-compliant", "changed"]),
            ("/complianceCode", json!(""), &["missing:complianceCode"]),
            ("/complianceCode", json!(0), &["unreadable:complianceCode"]),
            ("/unAuthorized", json!(true), &["unauthorized"]),
            ("/unAuthorized", json!("true"), &["unauthorized"]),
            ("/deviceStatus", json!("Unregistered"), &["not-registered"]),
            ("/streamingStatus", json!("inactive"), &["not-streaming"]),
            ("/ztpMode", json!("true"), &["zero-touch"]),
            ("/complianceIndication", json!("WARNING"), &["indication"]),
            ("/complianceIndication", json!("ERROR"), &["indication"]),
            ("/systemMacAddress", json!("aa:bb:cc:00:00:02"), &["disagreement"]),
            ("/key", json!("aa:bb:cc:00:00:02"), &["disagreement"]),
            ("/serialNumber", json!("SN2"), &["disagreement"]),
            ("/taskIdList", other_task, &["several-tasks"]),
        ],
    );
}

#[test]
fn a_difference_that_violates_a_condition_keeps_the_task() {
    check(
        Part::Diff,
        vec![
            ("/config_compliance", json!(false), &["task-diff", "disagreement"]),
            ("/add", json!(1), &["task-diff", "disagreement"]),
            ("/delete", json!(1), &["task-diff", "disagreement"]),
            ("/change", json!("1"), &["task-diff", "disagreement"]),
            ("/change", json!("many"), &["task-diff", "disagreement"]),
            ("/error", json!("DEVICEERROR"), &["task-diff-failed"]),
            ("/error", json!({"error_code": "OTHER"}), &["task-diff-failed"]),
        ],
    );
}
