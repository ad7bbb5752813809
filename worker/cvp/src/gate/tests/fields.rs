//! Tests fields that are missing, null or unreadable.

use serde_json::{Value, json};

use super::case::Case;
use super::case::Part::{self, Compliance as C, Diff as D, Task as T};

/// The required fields.
pub(super) const REQUIRED: &[(Part, &str)] = &[
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

/// The fields that are checked if they are present.
pub(super) const OPTIONAL: &[(Part, &str)] = &[
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

/// A value that the field cannot have.
fn nonsense(pointer: &str) -> Value {
    match pointer {
        "/data" | "/workOrderDetails" | "/taskIdList" => json!(7),
        _ => json!([{"x": 1}]),
    }
}

#[test]
fn a_required_field_keeps_the_task_if_it_is_missing_null_or_unreadable() {
    for (part, pointer) in REQUIRED {
        let name = pointer.rsplit('/').next().unwrap();
        for missing in [None, Some(Value::Null)] {
            let names = Case::empty().with(*part, pointer, missing.as_ref()).names();
            assert!(
                names.contains(&format!("missing:{name}")),
                "{pointer} {missing:?}: {names:?}"
            );
        }
        let names = Case::empty()
            .with(*part, pointer, Some(&nonsense(pointer)))
            .names();
        assert!(
            names.contains(&format!("unreadable:{name}")),
            "{pointer}: {names:?}"
        );
    }
}

#[test]
fn an_optional_field_keeps_the_task_only_if_it_is_unreadable() {
    for (part, pointer) in OPTIONAL {
        for missing in [None, Some(Value::Null)] {
            let names = Case::empty().with(*part, pointer, missing.as_ref()).names();
            assert_eq!(names, Vec::<String>::new(), "{pointer} {missing:?}");
        }
        let names = Case::empty()
            .with(*part, pointer, Some(&nonsense(pointer)))
            .names();
        assert!(
            names.iter().any(|name| name.starts_with("unreadable:")),
            "{pointer}: {names:?}"
        );
    }
}

#[test]
fn a_task_without_a_device_is_kept() {
    let case = Case::empty()
        .with(T, "/netElementId", None)
        .with(T, "/data/NETELEMENT_ID", None)
        .with(T, "/workOrderDetails/netElementId", Some(&json!("")));
    assert!(
        case.names().contains(&"missing:netElementId".to_owned()),
        "{:?}",
        case.names()
    );
}

#[test]
fn a_missing_field_does_not_hide_another_reason() {
    // A device that is out of sync keeps its task, whichever field is missing.
    for (part, pointer) in REQUIRED
        .iter()
        .chain(OPTIONAL)
        .filter(|(_, pointer)| *pointer != "/complianceCode")
    {
        let case = Case::empty().with(*part, pointer, None);
        let case = case.with(C, "/complianceCode", Some(&json!("0001")));
        assert!(case.names().contains(&"not-compliant".to_owned()), "{pointer}");
    }
}
