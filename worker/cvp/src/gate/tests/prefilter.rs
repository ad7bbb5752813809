//! Tests the prefilter, and which verdict makes a candidate.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use super::case::{CREATED, Case};
use crate::gate::{Attachment, Policy, Reason, Verdict, prefilter};
use crate::wire::{Field, InventoryDevice, Task};

#[test]
fn a_candidate_lacks_only_its_second_reading() {
    let due = Verdict::Keep(BTreeSet::from([Reason::SecondReadingDue]));
    assert!(due.awaits_second_reading());
    let more = Verdict::Keep(BTreeSet::from([Reason::SecondReadingDue, Reason::TooYoung]));
    assert!(!more.awaits_second_reading() && !Verdict::Cancel.awaits_second_reading());
}

#[test]
fn the_prefilter_keeps_only_tasks_that_the_gate_would_keep() {
    let inventory = |code: &str| -> InventoryDevice {
        serde_json::from_value(
            json!({"systemMacAddress": "aa:bb:cc:00:00:01", "complianceCode": code,
            "unAuthorized": "false", "streamingStatus": "active"}),
        )
        .unwrap()
    };
    let mut stale = inventory("0000");
    stale.streaming = Field::Is("inactive".to_owned());
    let mut unauthorized = inventory("0000");
    unauthorized.unauthorized = Field::Is(true);
    let now = Timestamp::from_millisecond(CREATED + 60_000).unwrap();
    let kept_for = |device: Option<&InventoryDevice>, attachment| -> Vec<String> {
        let task: Task = serde_json::from_value(Case::empty().task).unwrap();
        let reasons = prefilter(&task, device, attachment, &Policy::default(), now);
        reasons.iter().map(ToString::to_string).collect()
    };
    assert!(kept_for(None, Attachment::Free).is_empty());
    assert!(kept_for(Some(&InventoryDevice::default()), Attachment::Free).is_empty());
    assert!(kept_for(Some(&inventory("0000")), Attachment::Free).is_empty());
    assert_eq!(
        kept_for(Some(&inventory("0001")), Attachment::Free),
        ["not-compliant"]
    );
    assert_eq!(kept_for(Some(&stale), Attachment::Free), ["not-streaming"]);
    assert_eq!(kept_for(Some(&unauthorized), Attachment::Free), ["unauthorized"]);
    assert_eq!(kept_for(None, Attachment::Held), ["change-control"]);
    assert_eq!(
        kept_for(None, Attachment::Unknown),
        ["change-controls-unreadable"]
    );
}
