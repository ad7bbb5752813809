use serde_json::{Value, json};

use super::*;

const ID: &str = "0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70";

fn execution(number: u64, id: u128, change: impl FnOnce(&mut Value)) -> Value {
    let mut json = json!({
        "number": number, "id": uuid::Uuid::from_u128(id), "task": "sync", "task_number": 0, "provider": "sync", "state": "SUCCESSFUL",
        "reason": null, "dry_run": true, "paused": false, "halt": null, "in_canary": false, "elements": 1, "done": 1, "failed": 0,
        "skipped": 0, "accepted_at": "2026-02-03T04:06:00Z", "started_at": null, "ended_at": null, "deadline_at": null, "by": "anna",
        "execute_on_type": "DEVICE", "run_on": "DEVICE", "task_arguments": {}, "arguments": null, "limits": {}, "relaunch_of": null,
    });
    change(&mut json);
    json
}

fn explanation() -> Value {
    json!({
        "about": "message", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "message": {
            "source": "urn:example:netbox", "id": ID, "type": "lockstep.interface.updated", "state": "applied",
            "at": "2026-02-03T04:05:06Z", "by": "netbox", "result_type": "lockstep.event.applied",
            "result": {"outcome": "applied", "scope": "device", "flipped": 1, "devices": ["sw1"], "truncated": false},
            "subject": "sw1", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "redrive_count": 0, "dead_letters": [],
        },
        "causes": [{
            "cause": {
                "cause": "interface_updated", "event": "lockstep.interface.updated", "source": "urn:example:netbox", "id": ID,
                "at": "2026-02-03T04:05:06Z", "by": "netbox", "interfaces": ["Ethernet1"],
            },
            "rules": [{"event": "interfaces are updated, kind `configuration`", "devices": "the device"}],
        }],
        "flagged": 1,
        "devices": [{"hostname": "sw1", "desired_generation": 2, "synced_generation": 2}],
        "more_devices": 3,
        "executions": [
            execution(1, 1, |json| {
                json["approvals"] = json!([
                    {"by": "berta", "at": "2026-02-03T04:07:00Z", "expires_at": "2026-02-03T12:07:00Z", "note": null},
                ]);
            }),
            execution(2, 2, |json| {
                json["dry_run"] = false.into();
                json["task_arguments"]["plan"] = json!(uuid::Uuid::from_u128(1));
            }),
        ],
        "elements": [{
            "element": {
                "number": 9, "execution": 2, "entity_type": "DEVICE", "entity": 1, "name": "sw1", "hostname": "sw1",
                "state": "SUCCESSFUL", "outcome": "done", "waits_for": null, "reason": null, "message": "pushed and confirmed",
                "changed": true, "attempts": 1, "started_at": "2026-02-03T04:08:00Z", "ended_at": "2026-02-03T04:08:02.5Z",
            },
            "generation": 2, "settings_commit": null, "templates_commit": null, "step": "done",
        }],
        "not_allowed": [], "notes": ["1 element is left out"],
    })
}

fn shown(explanation: Value) -> String {
    lines(&serde_json::from_value(explanation).unwrap()).join("\n")
}

#[test]
fn an_explanation_goes_from_the_message_to_the_results() {
    let expected = format!(
        "\
Message
  lockstep.interface.updated about sw1 by netbox
  {ID} of urn:example:netbox
  applied at 2026-02-03T04:05:06Z: applied; 1 sync flag changed; devices: sw1
  trace 4bf92f3577b34da6a3ce929d0e0e4736
Rules and causes
  rule: interfaces are updated, kind `configuration`: the device
  2026-02-03T04:05:06Z  interface_updated by netbox (lockstep.interface.updated)
    Ethernet1
    message urn:example:netbox {ID}
Devices
  1 sync flag changed
  sw1: synchronized, generation 2
  … and 3 more devices
Executions
  execution 1 of sync SUCCESSFUL: 1 done, 0 failed, 0 skipped, dry run: requested 2026-02-03T04:06:00Z by anna
    approved by berta at 2026-02-03T04:07:00Z, until 2026-02-03T12:07:00Z
  execution 2 of sync SUCCESSFUL: 1 done, 0 failed, 0 skipped (applies plan 1): requested 2026-02-03T04:06:00Z by anna
    sw1 SUCCESSFUL, generation 2, came to step done, pushed and confirmed, 2026-02-03T04:08:00Z in 2500 ms
Note: 1 element is left out"
    );
    assert_eq!(shown(explanation()), expected);
}

#[test]
fn what_is_not_allowed_is_said_in_its_place() {
    let mut hidden = explanation();
    hidden["message"] = Value::Null;
    hidden["trace_id"] = Value::Null;
    for list in ["causes", "devices", "executions", "elements", "notes"] {
        hidden[list] = json!([]);
    }
    hidden["flagged"] = Value::Null;
    hidden["more_devices"] = 0.into();
    let mut gone = hidden.clone();
    hidden["not_allowed"] = json!([
        {"part": "message", "needs": "messages"}, {"part": "devices", "needs": "devices"},
        {"part": "executions", "needs": "executions"}, {"part": "steps", "needs": "device-output"},
    ]);
    let expected = "\
Message
  not allowed: needs `messages`
Rules and causes
  not allowed: needs `devices`
Executions
  not allowed: needs `executions`";
    assert_eq!(shown(hidden), expected);
    gone["about"] = "execution".into();
    assert_eq!(
        shown(gone),
        "Message\n  not kept any more\nExecutions\n  none yet"
    );
}
