use serde_json::{Value, json};

use super::*;
use crate::cvp::ComplianceCode;
use crate::cvp::wire::{Compliance, DiffSummary, InventoryDevice, Task, TaskDiff};

const CREATED: i64 = 1_700_000_000_000;

/// Everything the gate looks at, as CloudVision would write it, and as the sweep would find it.
#[derive(Clone)]
struct Case {
    task: Value,
    compliance: Value,
    /// Null: it cannot be read. `"absent"`: there is no such service.
    diff: Value,
    earlier: Value,
    earlier_code: &'static str,
    attachment: Attachment,
    tasks_on_device: usize,
    policy: Policy,
    age_ms: i64,
    since_reading_ms: i64,
}

impl Case {
    /// What is cancelled.
    fn empty() -> Self {
        let task = json!({
            "workOrderId": "1811", "workOrderState": "ACTIVE", "currentTaskName": "Submit",
            "description": "Configlet Assign: to Device leaf1", "workOrderUserDefinedStatus": "Pending",
            "taskStatus": "ACTIVE", "taskStatusBeforeCancel": "", "createdOnInLongFormat": CREATED, "executedBy": "",
            "executedOnInLongFormat": 0, "note": "", "netElementId": "aa:bb:cc:00:00:01", "ccId": "", "ccIdV2": "",
            "stageId": "",
            "workOrderDetails": {"netElementId": "aa:bb:cc:00:00:01", "netElementHostName": "leaf1", "serialNumber": "SN1"},
            "data": {
                "NETELEMENT_ID": "aa:bb:cc:00:00:01", "WORKFLOW_ACTION": "Configlet Push", "VIEW": "CONFIG",
                "IS_ADD_OR_MOVE_FLOW": false, "isRollbackTask": false, "isRollbackFromSnapshotFlow": false,
                "ZERO_TOUCH_REPLACEMENT": "", "currentparentContainerId": "container_7",
                "newparentContainerId": "container_7", "ccId": "",
            },
        });
        Self {
            earlier: task.clone(),
            task,
            compliance: json!({
                "complianceCode": "0000", "complianceIndication": "", "unAuthorized": false, "deviceStatus": "Registered",
                "streamingStatus": "active", "ztpMode": "false", "systemMacAddress": "AA:BB:CC:00:00:01",
                "key": "aa:bb:cc:00:00:01", "serialNumber": "SN1",
                "taskIdList": [{"workOrderId": 1811, "workOrderUserDefinedStatus": "Pending"},
                    {"workOrderId": "1700", "workOrderUserDefinedStatus": "Completed"}],
            }),
            diff: json!({"config_compliance": true, "nop": 120, "add": 0, "delete": 0, "change": 0, "error": ""}),
            earlier_code: "0000",
            attachment: Attachment::Free,
            tasks_on_device: 1,
            policy: Policy::default(),
            age_ms: 60_000,
            since_reading_ms: 500,
        }
    }

    fn names(&self) -> Vec<String> {
        let task: Task = serde_json::from_value(self.task.clone()).unwrap();
        let compliance: Option<Compliance> = serde_json::from_value(self.compliance.clone()).unwrap();
        let diff = match &self.diff {
            Value::Null => None,
            Value::String(_) => Some(TaskDiff::Absent),
            summary => {
                let body = json!([{"summary": summary}]).to_string();
                Some(TaskDiff::Summary(DiffSummary::read(body.as_bytes()).unwrap()))
            }
        };
        let now = Timestamp::from_millisecond(CREATED + self.age_ms).unwrap();
        let earlier = (!self.earlier.is_null()).then(|| Reading {
            task: serde_json::from_value(self.earlier.clone()).unwrap(),
            code: self.earlier_code.into(),
            at: Timestamp::from_millisecond(CREATED + self.age_ms - self.since_reading_ms).unwrap(),
        });
        let evidence = Evidence {
            task: &task,
            compliance: compliance.as_ref(),
            diff: diff.as_ref(),
            attachment: self.attachment,
            tasks_on_device: self.tasks_on_device,
            earlier: earlier.as_ref(),
        };
        match decide(&evidence, &self.policy, now) {
            Verdict::Cancel => Vec::new(),
            Verdict::Keep(reasons) => {
                assert!(!reasons.is_empty(), "kept for nothing");
                reasons.iter().map(ToString::to_string).collect()
            }
        }
    }

    /// The same with a field set, or left out if there is no value.
    fn with(mut self, part: Part, pointer: &str, value: Option<Value>) -> Self {
        // What is read the second time was so the first time, unless it is about the change itself.
        let documents: &mut [&mut Value] = match part {
            Part::Task => &mut [&mut self.task, &mut self.earlier],
            Part::Compliance => &mut [&mut self.compliance],
            Part::Diff => &mut [&mut self.diff],
        };
        for document in documents.iter_mut() {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            assert!(
                parent.contains_key(name) || value.is_some(),
                "{pointer} is not in the example"
            );
            match &value {
                Some(value) => parent.insert(name.to_owned(), value.clone()),
                None => parent.remove(name),
            };
        }
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Task,
    Compliance,
    Diff,
}

use Part::{Compliance as C, Diff as D, Task as T};

/// A field that must be there and hold.
const MUST: &[(Part, &str)] = &[
    (T, "/workOrderId"),
    (T, "/workOrderUserDefinedStatus"),
    (T, "/createdOnInLongFormat"),
    (T, "/data"),
    (T, "/data/WORKFLOW_ACTION"),
    (T, "/data/IS_ADD_OR_MOVE_FLOW"),
    (C, "/complianceCode"),
    (C, "/unAuthorized"),
    (C, "/deviceStatus"),
    (D, "/config_compliance"),
];

/// A field that must hold if it is there.
const MAY: &[(Part, &str)] = &[
    (T, "/currentTaskName"),
    (T, "/taskStatus"),
    (T, "/taskStatusBeforeCancel"),
    (T, "/executedBy"),
    (T, "/executedOnInLongFormat"),
    (T, "/ccId"),
    (T, "/ccIdV2"),
    (T, "/stageId"),
    (T, "/netElementId"),
    (T, "/workOrderDetails"),
    (T, "/workOrderDetails/netElementId"),
    (T, "/data/VIEW"),
    (T, "/data/isRollbackTask"),
    (T, "/data/isRollbackFromSnapshotFlow"),
    (T, "/data/ZERO_TOUCH_REPLACEMENT"),
    (T, "/data/ccId"),
    (C, "/complianceIndication"),
    (C, "/streamingStatus"),
    (C, "/ztpMode"),
    (C, "/systemMacAddress"),
    (C, "/key"),
    (C, "/serialNumber"),
    (C, "/taskIdList"),
];

/// What nothing can be.
fn nonsense(pointer: &str) -> Value {
    match pointer {
        "/data" | "/workOrderDetails" | "/taskIdList" => json!(7),
        _ => json!([{"x": 1}]),
    }
}

#[test]
fn a_plain_empty_task_is_cancelled() {
    assert_eq!(Case::empty().names(), Vec::<String>::new());
}

#[test]
fn what_must_be_there_keeps_the_task_when_it_is_missing_null_or_unreadable() {
    for (part, pointer) in MUST {
        let name = pointer.rsplit('/').next().unwrap();
        for missing in [None, Some(Value::Null)] {
            let names = Case::empty().with(*part, pointer, missing.clone()).names();
            assert!(
                names.contains(&format!("missing:{name}")),
                "{pointer} {missing:?}: {names:?}"
            );
        }
        let names = Case::empty()
            .with(*part, pointer, Some(nonsense(pointer)))
            .names();
        assert!(
            names.contains(&format!("unreadable:{name}")),
            "{pointer}: {names:?}"
        );
    }
}

#[test]
fn what_may_be_missing_keeps_the_task_only_when_it_is_unreadable() {
    for (part, pointer) in MAY {
        for missing in [None, Some(Value::Null)] {
            let names = Case::empty().with(*part, pointer, missing.clone()).names();
            assert_eq!(names, Vec::<String>::new(), "{pointer} {missing:?}");
        }
        let names = Case::empty()
            .with(*part, pointer, Some(nonsense(pointer)))
            .names();
        assert!(
            names.iter().any(|name| name.starts_with("unreadable:")),
            "{pointer}: {names:?}"
        );
    }
}

#[test]
fn the_device_must_stand_somewhere() {
    let case = Case::empty()
        .with(T, "/netElementId", None)
        .with(T, "/data/NETELEMENT_ID", None)
        .with(T, "/workOrderDetails/netElementId", Some(json!("")));
    assert!(
        case.names().contains(&"missing:netElementId".to_owned()),
        "{:?}",
        case.names()
    );
}

#[test]
fn every_condition_that_does_not_hold_keeps_the_task_by_its_name() {
    let other_task = json!([{"workOrderId": "1812", "workOrderUserDefinedStatus": "Pending"}]);
    let table: &[(Part, &str, Value, &[&str])] = &[
        (
            T,
            "/workOrderUserDefinedStatus",
            json!("Completed"),
            &["not-pending"],
        ),
        (
            T,
            "/workOrderUserDefinedStatus",
            json!("Failed"),
            &["not-pending"],
        ),
        (
            T,
            "/workOrderUserDefinedStatus",
            json!("Configlet Push In Progress"),
            &["not-pending"],
        ),
        (
            T,
            "/workOrderUserDefinedStatus",
            json!("PENDING"),
            &["not-pending"],
        ),
        (
            T,
            "/workOrderId",
            json!(""),
            &["several-tasks", "task-unreadable"],
        ),
        (T, "/currentTaskName", json!("Execute"), &["busy"]),
        (T, "/taskStatus", json!("Task Update In Progress"), &["busy"]),
        (T, "/taskStatus", json!("COMPLETED"), &["busy"]),
        (T, "/taskStatusBeforeCancel", json!("ACTIVE"), &["busy"]),
        (T, "/executedBy", json!("bob"), &["busy"]),
        (T, "/executedOnInLongFormat", json!(1), &["busy"]),
        (T, "/ccId", json!("7"), &["change-control"]),
        (T, "/ccIdV2", json!("7"), &["change-control"]),
        (T, "/stageId", json!("s"), &["change-control"]),
        (T, "/data/ccId", json!("7"), &["change-control"]),
        (T, "/createdOnInLongFormat", json!(CREATED + 1), &["too-young"]),
        (
            T,
            "/createdOnInLongFormat",
            json!(CREATED + 120_000),
            &["too-young"],
        ),
        (T, "/createdOnInLongFormat", json!(0), &["too-young"]),
        (T, "/createdOnInLongFormat", json!(-1), &["too-young"]),
        (T, "/createdOnInLongFormat", json!(i64::MAX), &["too-young"]),
        (
            T,
            "/data/WORKFLOW_ACTION",
            json!("Image Push"),
            &["not-configuration"],
        ),
        (T, "/data/WORKFLOW_ACTION", json!(""), &["not-configuration"]),
        (T, "/data/VIEW", json!("IMAGE"), &["not-configuration"]),
        (T, "/data/VIEW", json!("CONFIG_IMAGE"), &["not-configuration"]),
        (T, "/data/IS_ADD_OR_MOVE_FLOW", json!(true), &["move"]),
        (T, "/data/IS_ADD_OR_MOVE_FLOW", json!("true"), &["move"]),
        (T, "/data/newparentContainerId", json!("container_8"), &["move"]),
        (T, "/data/newparentContainerId", Value::Null, &["move"]),
        (T, "/data/currentparentContainerId", json!(""), &["move"]),
        (
            T,
            "/data/currentparentContainerId",
            json!([]),
            &["move", "unreadable:currentparentContainerId"],
        ),
        (T, "/data/isRollbackTask", json!(true), &["rollback"]),
        (
            T,
            "/data/isRollbackFromSnapshotFlow",
            json!("true"),
            &["rollback"],
        ),
        (T, "/data/ZERO_TOUCH_REPLACEMENT", json!("true"), &["replacement"]),
        (T, "/netElementId", json!("aa:bb:cc:00:00:02"), &["disagreement"]),
        (
            T,
            "/workOrderDetails/netElementId",
            json!("aa:bb:cc:00:00:02"),
            &["disagreement"],
        ),
        (
            T,
            "/data/NETELEMENT_ID",
            json!("aa:bb:cc:00:00:02"),
            &["disagreement"],
        ),
        (
            T,
            "/workOrderDetails/serialNumber",
            json!("SN2"),
            &["disagreement"],
        ),
        (C, "/complianceCode", json!("0001"), &["not-compliant", "changed"]),
        (C, "/complianceCode", json!("0004"), &["not-compliant", "changed"]),
        (
            C,
            "/complianceCode",
            json!("0000 "),
            &["not-compliant", "changed"],
        ),
        (C, "/complianceCode", json!("0020"), &["not-compliant", "changed"]),
        (C, "/complianceCode", json!(""), &["missing:complianceCode"]),
        (C, "/complianceCode", json!(0), &["unreadable:complianceCode"]),
        (C, "/unAuthorized", json!(true), &["unauthorized"]),
        (C, "/unAuthorized", json!("true"), &["unauthorized"]),
        (C, "/deviceStatus", json!("Unregistered"), &["not-registered"]),
        (C, "/streamingStatus", json!("inactive"), &["not-streaming"]),
        (C, "/ztpMode", json!("true"), &["zero-touch"]),
        (C, "/complianceIndication", json!("WARNING"), &["indication"]),
        (C, "/complianceIndication", json!("ERROR"), &["indication"]),
        (
            C,
            "/systemMacAddress",
            json!("aa:bb:cc:00:00:02"),
            &["disagreement"],
        ),
        (C, "/key", json!("aa:bb:cc:00:00:02"), &["disagreement"]),
        (C, "/serialNumber", json!("SN2"), &["disagreement"]),
        (C, "/taskIdList", other_task, &["several-tasks"]),
        (
            D,
            "/config_compliance",
            json!(false),
            &["task-diff", "disagreement"],
        ),
        (D, "/add", json!(1), &["task-diff", "disagreement"]),
        (D, "/delete", json!(1), &["task-diff", "disagreement"]),
        (D, "/change", json!("1"), &["task-diff", "disagreement"]),
        (D, "/change", json!("many"), &["task-diff", "disagreement"]),
        (D, "/error", json!("DEVICEERROR"), &["task-diff-failed"]),
        (D, "/error", json!({"error_code": "OTHER"}), &["task-diff-failed"]),
    ];
    for (part, pointer, value, expected) in table {
        let names = Case::empty().with(*part, pointer, Some(value.clone())).names();
        assert_eq!(names, *expected, "{pointer} = {value}");
    }
}

#[test]
fn what_is_known_around_the_task_counts() {
    let table: Vec<(&str, fn(&mut Case), &[&str])> = vec![
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
fn each_opt_out_does_what_its_name_says_and_no_more() {
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
    type Change<'a> = &'a dyn Fn(&mut Case);
    let table: Vec<(&str, Vec<Change<'_>>, &[&str])> = vec![
        (
            "old release",
            vec![&unavailable, &|case| case.attachment = Attachment::Unknown],
            &[],
        ),
        (
            "a change control counts all the same",
            vec![&unavailable, &|case| case.attachment = Attachment::Held],
            &["change-control"],
        ),
        (
            "no rights for the diff",
            vec![&no_diff, &|case| case.diff = Value::Null],
            &[],
        ),
        (
            "a diff counts all the same",
            vec![&no_diff, &|case| case.diff["add"] = json!(1)],
            &["task-diff", "disagreement"],
        ),
        (
            "diff demanded",
            vec![&need_diff, &|case| case.diff = json!("absent")],
            &["task-diff-absent"],
        ),
        (
            "diff demanded and unreadable",
            vec![&need_diff, &|case| case.diff = Value::Null],
            &["task-diff-unreadable"],
        ),
        ("widened, and in sync", vec![&widened], &[]),
        ("widened, as allowed", vec![&timed], &[]),
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
                case.compliance["complianceCode"] = json!("0018")
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

#[test]
fn nothing_that_can_be_broken_alone_lets_a_task_through_that_another_reason_keeps() {
    // Whatever is missing, a device that is out of sync keeps its task.
    for (part, pointer) in MUST
        .iter()
        .chain(MAY)
        .filter(|(_, pointer)| *pointer != "/complianceCode")
    {
        let case = Case::empty().with(*part, pointer, None);
        let case = case.with(C, "/complianceCode", Some(json!("0001")));
        assert!(case.names().contains(&"not-compliant".to_owned()), "{pointer}");
    }
}

#[test]
fn a_candidate_misses_nothing_but_its_second_reading() {
    let due = Verdict::Keep(BTreeSet::from([Reason::SecondReadingDue]));
    assert!(due.awaits_second_reading());
    let more = Verdict::Keep(BTreeSet::from([Reason::SecondReadingDue, Reason::TooYoung]));
    assert!(!more.awaits_second_reading() && !Verdict::Cancel.awaits_second_reading());
}

#[test]
fn the_prefilter_keeps_what_the_gate_would_keep_and_allows_nothing() {
    let inventory = |code: &str| -> InventoryDevice {
        serde_json::from_value(
            json!({"systemMacAddress": "aa:bb:cc:00:00:01", "complianceCode": code,
            "unAuthorized": "false", "streamingStatus": "active"}),
        )
        .unwrap()
    };
    let mut stale = inventory("0000");
    stale.streaming = crate::cvp::wire::Field::Is("inactive".to_owned());
    let mut unauthorized = inventory("0000");
    unauthorized.unauthorized = crate::cvp::wire::Field::Is(true);
    let now = Timestamp::from_millisecond(CREATED + 60_000).unwrap();
    let judge = |device: Option<&InventoryDevice>, attachment| -> Vec<String> {
        let task: Task = serde_json::from_value(Case::empty().task).unwrap();
        let reasons = prefilter(&task, device, attachment, &Policy::default(), now);
        reasons.iter().map(ToString::to_string).collect()
    };
    assert!(judge(None, Attachment::Free).is_empty());
    assert!(judge(Some(&InventoryDevice::default()), Attachment::Free).is_empty());
    assert!(judge(Some(&inventory("0000")), Attachment::Free).is_empty());
    assert_eq!(
        judge(Some(&inventory("0001")), Attachment::Free),
        ["not-compliant"]
    );
    assert_eq!(judge(Some(&stale), Attachment::Free), ["not-streaming"]);
    assert_eq!(judge(Some(&unauthorized), Attachment::Free), ["unauthorized"]);
    assert_eq!(judge(None, Attachment::Held), ["change-control"]);
    assert_eq!(judge(None, Attachment::Unknown), ["change-controls-unreadable"]);
}
