//! A console whose every text is hostile.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Result;
use serde_json::{Value, json};

const TIME: &str = "2026-02-03T04:05:06Z";

/// Answers requests until the process of the test ends.
pub(super) fn start(hostile: &'static str) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A client that hangs up needs no answer.
                let _ = serve(connection, hostile);
            });
        }
    });
    Ok(address)
}

fn serve(mut connection: TcpStream, hostile: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (method, path) = line.split_once(' ').unwrap_or_default();
        let path = path.split([' ', '?']).next().unwrap_or_default().to_owned();
        let method = method.to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, answer) = answer(&method, &path, hostile);
        let answer = answer.to_string();
        let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", answer.len());
        connection.write_all(head.as_bytes())?;
        connection.write_all(answer.as_bytes())?;
    }
}

fn answer(method: &str, path: &str, hostile: &str) -> (u16, Value) {
    let problem = json!({
        "type": format!("urn:lockstep:problem:{hostile}"), "title": hostile, "status": 400, "detail": hostile, "code": hostile,
        "place": hostile,
    });
    match (method, path) {
        ("POST", "/v1/events") => (202, json!({"source": "urn:test", "id": "1"})),
        ("GET", "/v1/messages") => (200, rejected(hostile)),
        ("GET", "/v1/messages/1") => (200, json!({"messages": [found_message(hostile)], "more": true})),
        ("GET", "/v1/explain/1") => (200, explanation(hostile)),
        ("GET", "/v1/tokens") => (200, json!({"tokens": [token(hostile)]})),
        ("GET", "/v1/tokens/laptop") | ("POST", "/v1/tokens/laptop/revoke") => (200, token(hostile)),
        ("POST", "/v1/tokens") => (201, json!({"secret": hostile, "token": token(hostile)})),
        ("POST", "/v1/tokens/laptop/rotate") => (200, json!({"secret": hostile, "token": token(hostile)})),
        ("POST", "/v1/sessions/laptop/end") => {
            (200, json!({"principal": hostile, "ended": 1, "released": true}))
        }
        ("GET", "/v1/audit") => (200, json!({"entries": [audited(hostile)]})),
        ("GET", "/v1/devices") => (200, json!({"devices": [device(hostile)]})),
        ("GET", "/v1/devices/sw1") => (200, device(hostile)),
        ("GET", "/v1/devices/sw1/surroundings") => (
            200,
            json!({"hostname": "sw1", "interfaces": 1, "clients": 0, "links": 0, "neighbors": {"count": 0, "first": []},
                "controlled": {"count": 0, "first": []}, "data": {"site": hostile}}),
        ),
        ("GET", "/v1/groups") => (200, json!({"groups": [group(hostile)]})),
        ("GET", "/v1/groups/EDGE") => (
            200,
            json!({"group": group(hostile), "devices": ["sw1"], "next": "sw1"}),
        ),
        ("GET", "/v1/sync/selection") => (
            200,
            json!({"selected": [], "skipped": [{"hostname": "sw1", "reason": hostile}]}),
        ),
        ("GET", "/v1/fleet/ages") => (200, ages(hostile)),
        ("GET", "/v1/devices/sw1/history") => (200, json!({"events": [event(hostile)]})),
        ("GET", "/v1/repositories") => (200, repositories(hostile)),
        ("GET", "/v1/dead") => (200, json!({"dead_letters": [dead_letter(hostile)], "next": 1})),
        ("GET", "/v1/dead/counts") => {
            let group = json!({"lane": hostile, "type": hostile, "code": hostile, "count": 1});
            (
                200,
                json!({"newest": 1, "total": 1, "groups": [group], "truncated": true}),
            )
        }
        ("GET", "/v1/dead/1") => (200, dead_letter(hostile)),
        ("GET", "/v1/devices/sw1/facts") => {
            let fact = json!({"key": hostile, "value": {hostile: hostile}, "at": TIME, "element": 1});
            (200, json!({"facts": [fact]}))
        }
        ("GET", "/v1/providers") => (200, json!({"providers": [provider(hostile)]})),
        ("GET", "/v1/providers/command") => (200, provider(hostile)),
        ("GET", "/v1/tasks") => (200, json!({"tasks": [task(hostile)]})),
        ("GET", "/v1/tasks/uptime") => (200, task(hostile)),
        ("POST", "/v1/tasks/validate") => {
            let problem = json!({"place": hostile, "reason": hostile});
            (200, json!({"valid": false, "problems": [problem]}))
        }
        ("GET", "/v1/schedules") => (200, json!({"schedules": [schedule(hostile)]})),
        ("GET", "/v1/executions") => (200, json!({"executions": [execution(hostile, "FAILED")]})),
        ("GET", "/v1/executions/1") => (200, execution(hostile, "FAILED")),
        ("GET", "/v1/executions/2") => (200, execution(hostile, "RUNNING")),
        ("GET", "/v1/executions/stopped") => (
            200,
            json!({"stopped": true, "at": TIME, "by": hostile, "note": hostile}),
        ),
        ("GET", "/v1/executions/1/results") => (200, json!({"results": [result(hostile)]})),
        ("GET", "/v1/executions/1/devices") => (200, json!({"devices": [sync_device(hostile)]})),
        ("GET", "/v1/executions/1/devices/sw1") => (200, sync_device(hostile)),
        ("GET", "/v1/executions/1/devices/sw1/configuration") => (
            200,
            json!({"hostname": "sw1", "diff": hostile, "rendered": hostile, "previous": hostile}),
        ),
        ("GET", "/v1/executions/1/elements") => (200, json!({"elements": [element(hostile)]})),
        ("GET", "/v1/elements/1") => {
            let mut detail = element(hostile);
            detail["data"] = json!({hostile: [hostile]});
            (200, detail)
        }
        _ => (400, problem),
    }
}

/// An outcome that this version cannot read, so that the command shows it as it is.
fn rejected(hostile: &str) -> Value {
    json!({
        "source": hostile, "id": hostile, "type": hostile, "state": "dead", "at": TIME, "by": hostile, "result_type": hostile,
        "result": {hostile: hostile},
    })
}

fn found_message(hostile: &str) -> Value {
    let mut message = rejected(hostile);
    for (name, value) in [
        ("subject", json!(hostile)),
        ("trace_id", json!(hostile)),
        ("redrive_count", json!(1)),
        ("dead_letters", json!([dead_letter(hostile)])),
    ] {
        message[name] = value;
    }
    message
}

fn explanation(hostile: &str) -> Value {
    json!({
        "about": "message", "trace_id": hostile, "message": found_message(hostile),
        "causes": [{"cause": cause(hostile), "rules": [{"event": hostile, "devices": hostile}]}], "flagged": 2,
        "devices": [{"hostname": "sw1", "desired_generation": 2, "synced_generation": 1}], "more_devices": 1,
        "executions": [execution(hostile, "FAILED")],
        "elements": [{"element": element(hostile), "generation": 2, "step": hostile}],
        "not_allowed": [{"part": "steps", "needs": hostile}], "notes": [hostile],
    })
}

fn token(hostile: &str) -> Value {
    json!({
        "name": hostile, "person": hostile, "role": "operator", "groups": ["EDGE"], "tasks": ["backup-*"], "reads": [hostile],
        "sources": [hostile], "prefix": hostile, "active": true, "created_at": TIME, "created_by": hostile, "expires_at": TIME,
        "rotated_at": TIME, "former_until": TIME, "revoked_at": null, "used_at": TIME,
    })
}

fn audited(hostile: &str) -> Value {
    json!({
        "number": 1, "at": TIME, "kind": "command", "principal": hostile, "token": hostile, "address": hostile, "agent": hostile,
        "message_source": hostile, "message_id": hostile, "message_type": hostile, "subject": hostile, "reason": hostile,
        "detail": hostile,
    })
}

fn cause(hostile: &str) -> Value {
    let commit = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
    json!({
        "cause": hostile, "event": hostile, "source": hostile, "id": hostile, "at": TIME, "by": hostile, "note": hostile,
        "commit": {"repository": "settings", "id": commit, "author": hostile, "subject": hostile, "committed_at": TIME, "commits": 2},
        "paths": [{"path": hostile, "device_types": ["ACCESS"], "platform": hostile}], "more_paths": 3,
        "interfaces": ["Ethernet1"], "more_interfaces": 1,
    })
}

fn event(hostile: &str) -> Value {
    json!({
        "at": TIME, "what": hostile, "event": hostile, "source": hostile, "id": hostile, "by": hostile, "note": hostile,
        "from": hostile, "to": hostile, "generation": 2, "cause": cause(hostile), "open": true, "closed": 2, "expired": 1,
    })
}

fn device(hostile: &str) -> Value {
    let cause = cause(hostile);
    json!({
        "id": 1, "hostname": "sw1", "device_type": "ACCESS", "platform": hostile, "state": "MANAGED", "note": hostile, "until": TIME,
        "synchronized": false, "unsynchronized_since": TIME, "desired_generation": 2, "synced_generation": 1,
        "management_ip": "192.0.2.1", "mac": null, "serial": null, "vendor": hostile, "model": hostile, "os_version": hostile,
        "groups": [], "causes": [cause], "marked": {"at": TIME, "by": hostile, "note": hostile},
    })
}

fn group(hostile: &str) -> Value {
    json!({
        "id": 1, "name": "EDGE", "location": true, "members": 1, "listed": 1, "by_rule": 1, "primary": 1,
        "rule": {"regex": hostile, "hostnames": 0, "priority": 9, "position": 0},
    })
}

fn ages(hostile: &str) -> Value {
    let aged = json!({
        "hostname": "sw1", "device_type": "ACCESS", "state": "MANAGED", "since": TIME, "age_seconds": 7, "causes": [hostile],
        "note": hostile, "until": TIME,
    });
    json!({
        "at": TIME, "matching": 1, "in_state": 1, "aged": 1, "over_warning": 1, "over_critical": 1, "oldest": [aged], "expired": 1,
        "longest_expired": [aged],
    })
}

fn repositories(hostile: &str) -> Value {
    let commit = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";
    json!({"repositories": [{
        "name": "settings", "branch": hostile, "accepted": commit, "accepted_at": TIME, "seen": commit, "seen_at": TIME,
        "problem": hostile, "warnings": [hostile], "failure": hostile, "failing_since": TIME, "failed_at": TIME,
    }]})
}

fn provider(hostile: &str) -> Value {
    json!({
        "name": hostile, "short_description": hostile, "description": hostile, "provider_type": hostile, "run_on": null,
        "run_on_strict": false, "run_on_all_if_empty": false, "run_on_result": null, "success_message": hostile,
        "lane": hostile, "steps": [{"number": 10, "name": hostile, "level": "DEVICE", "stage": "devices"}],
        "repeatable": true, "deprecated": hostile, "json_schema": {hostile: hostile}, "run_input_json_schema": hostile,
    })
}

fn task(hostile: &str) -> Value {
    json!({
        "number": 1, "name": hostile, "description": hostile, "provider": hostile, "arguments": {hostile: hostile},
        "pre_tasks": [hostile], "post_tasks": [hostile], "saved_at": TIME, "saved_by": hostile,
    })
}

fn schedule(hostile: &str) -> Value {
    let request = json!({"task": 1, "execute_on_type": "DEVICE", "arguments": {hostile: hostile}});
    json!({
        "number": 1, "name": hostile, "cron": hostile, "time_zone": hostile, "task": request, "enabled": true, "next_at": TIME,
        "last_at": TIME, "saved_at": TIME, "saved_by": hostile,
    })
}

fn execution(hostile: &str, state: &str) -> Value {
    json!({
        "number": 1, "id": "0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70", "task": hostile, "task_number": 1, "provider": hostile,
        "state": state, "reason": hostile, "dry_run": true, "paused": true, "halt": hostile, "in_canary": false, "elements": 2,
        "done": 0, "failed": 1, "skipped": 0, "accepted_at": TIME, "started_at": TIME, "ended_at": TIME, "deadline_at": TIME,
        "by": hostile, "execute_on_type": "DEVICE", "run_on": "DEVICE", "task_arguments": {hostile: hostile},
        "arguments": hostile, "limits": {}, "relaunch_of": null, "pre_tasks": [hostile], "post_tasks": [hostile],
        "stages": [stage(hostile), stage(hostile)], "stage": stage(hostile), "stage_elements": 2, "stage_ended": 1,
    })
}

fn stage(hostile: &str) -> Value {
    json!({"index": 0, "phase": 0, "task": hostile, "stage": "devices"})
}

fn result(hostile: &str) -> Value {
    json!({
        "phase": 0, "task": hostile, "level": "DEVICE", "entity": 1, "name": hostile, "parent": 2, "of": hostile, "state": "FAILED",
        "outcome": "failed", "reason": hostile, "message": hostile, "changed": true, "pre_run": hostile, "data": {hostile: [hostile]},
    })
}

fn element(hostile: &str) -> Value {
    json!({
        "number": 1, "execution": 1, "entity_type": "DEVICE", "entity": 1, "name": hostile, "hostname": "sw1", "state": "FAILED",
        "outcome": "failed", "stage": stage(hostile), "waits_for": hostile, "reason": hostile, "message": hostile, "changed": true, "attempts": 1,
        "started_at": TIME, "ended_at": TIME,
    })
}

fn sync_device(hostile: &str) -> Value {
    json!({
        "number": 1, "hostname": "sw1", "state": "SUCCESSFUL", "outcome": "done", "reason": hostile, "message": hostile, "changed": true,
        "generation": 2, "outdated": true, "settings_commit": "a".repeat(40), "templates_commit": null, "diff": hostile, "hash": hostile,
        "change_score": 1.5,
    })
}

fn dead_letter(hostile: &str) -> Value {
    json!({
        "number": 1, "state": "dead", "source": hostile, "id": hostile, "redrive_count": 1, "lane": hostile, "type": hostile,
        "subject": hostile, "by": hostile, "code": hostile, "reason": hostile, "place": hostile, "attempts": 1, "first_at": TIME,
        "dead_lettered_at": TIME, "settled_at": TIME, "settled_by": hostile, "bytes": 2,
        "properties": {
            "message_id": hostile, "type": hostile, "content_type": hostile, "correlation_id": hostile, "reply_to": hostile,
        },
        "body": hostile,
    })
}
