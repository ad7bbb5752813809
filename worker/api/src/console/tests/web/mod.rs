//! The pages, without a browser: what they contain, who may see them, and what their forms publish.

mod forms;
mod pages;

use std::sync::Arc;

use axum::body::Body;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{AuditKind, DeviceState, ElementState, ExecutionState};
use lockstep_store::{
    AgedDevice, Ages, AuditActor, CauseId, CauseRow, CheckRow, DeadLetterGroupCount, DeadLetterTotals,
    DeviceId, FactRow, FleetSample, HistoryChange, HistoryEntry, HistoryEvent, HistoryRow, InboxRow,
    NewAuditEntry, RepositoryFailure, RepositoryRow, ScheduleRow, StopRow,
};
use serde_json::json;

use super::executions::{at, element, execution};
use super::{Answer, Scene, applied, dead_letters, identity, request, scene, sync_devices, tasks};
use crate::fakes::device;

/// What an attacker writes wherever a text is taken: it closes attributes and elements, and begins some.
pub(super) const HOSTILE: &str =
    "\"'></textarea></pre></script><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}&\u{202e}";

/// A commit.
pub(super) fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// A scene in which something of everything is there, with this text in every field that takes any.
pub(super) fn everything(text: &str) -> Scene {
    let scene = scene();
    let text = || text.to_owned();
    let store = &scene.store;
    let mut sick = device(1, "sw1", false);
    sick.lifecycle.note = Some(text());
    sick.attributes.model = Some(text());
    sick.attributes.vendor = Some(text());
    sick.attributes.os_version = Some(text());
    sick.attributes.platform = Some(text());
    sick.open_causes = vec![CauseId(7)];
    sick.sync.since = Some(at());
    let mut idle = device(3, "sw3", true);
    idle.lifecycle.state = DeviceState::Init;
    *store.devices.lock().unwrap() = vec![sick.clone(), device(2, "sw2", true), idle];
    let group = text().chars().filter(|c| !c.is_control()).collect::<String>();
    *store.groups.lock().unwrap() = [(DeviceId(1), vec![group.try_into().unwrap()])].into();
    *store.causes.lock().unwrap() = [(CauseId(7), cause(&text()))].into();
    *store.ages.lock().unwrap() = Some(Ages {
        at: at(),
        matching: 3,
        in_state: 2,
        aged: 1,
        over_warning: 1,
        over_critical: 0,
        oldest: vec![AgedDevice {
            device: sick,
            since: Some(at()),
        }],
        expired: 0,
        longest_expired: Vec::new(),
    });
    *store.history.lock().unwrap() = vec![changed(9, &text()), unsynchronized(8, &text())];
    *store.facts.lock().unwrap() = vec![FactRow {
        key: text(),
        value: json!({text(): [text()]}),
        at: at(),
        element: 11,
    }];
    *store.checks.lock().unwrap() = vec![CheckRow {
        key: text(),
        result: text(),
        reason: Some(text()),
        metrics: json!(null),
        at: at(),
        element: 11,
    }];
    *store.repositories.lock().unwrap() = vec![RepositoryRow {
        name: "settings".to_owned().try_into().unwrap(),
        branch: text(),
        revision: 1,
        accepted: Some((commit('a').try_into().unwrap(), at())),
        warnings: vec![text()],
        seen: commit('b').try_into().unwrap(),
        seen_at: at(),
        asked_at: Some(at()),
        problem: Some(format!("global/base.yml:3:1: {}", text())),
        problem_since: Some(at()),
    }];
    *store.failures.lock().unwrap() = vec![RepositoryFailure {
        name: "templates".to_owned().try_into().unwrap(),
        reason: text(),
        since: at(),
        at: at(),
    }];
    *store.stop.lock().unwrap() = Some(StopRow {
        at: at(),
        by: Some(text()),
        note: Some(text()),
    });
    *store.samples.lock().unwrap() = vec![FleetSample {
        at: "2026-02-03T04:00:00Z".parse().unwrap(),
        synchronized: 1,
        unsynchronized: 1,
    }];
    *store.access.audit.lock().unwrap() = vec![audited(&text()), audited(&text())];
    runs(&scene, &text());
    settled(&scene, &text());
    explained(&scene, &text());
    scene
}

/// Execution 1 is a plan that ended, 2 runs, 3 is a sweep.
fn runs(scene: &Scene, text: &str) {
    let mut plan = execution(1, text, ExecutionState::PartialFailed);
    plan.request.provider = "sync".to_owned();
    plan.request.requested.dry_run = true;
    plan.request.actor = Some(text.to_owned());
    plan.reason = Some(text.to_owned());
    plan.request.task_arguments = json!({text: text});
    plan.request.requested.arguments = json!(text);
    let mut sweep = execution(3, "cvp_sweep", ExecutionState::Successful);
    sweep.request.task_arguments = json!({"cluster": text});
    sweep.reason = Some(text.to_owned());
    let running = execution(2, text, ExecutionState::Running);
    *scene.store.executions.lock().unwrap() = vec![plan, running, sweep];
    let mut elements = vec![
        element(11, 1, ElementState::Successful),
        element(12, 2, ElementState::Running),
        element(13, 3, ElementState::Filtered),
    ];
    for element in &mut elements {
        element.row.name = text.to_owned();
        element.row.hostname = Some("sw1".parse().unwrap());
        element.row.reason = Some(text.to_owned());
        element.row.message = Some(text.to_owned());
        element.data = json!({text: [text]});
    }
    *scene.store.elements.lock().unwrap() = elements;
    let mut found = sync_devices::element(11, "sw1");
    found.masked = Some(format!("--- a\n+++ b\n-{text}\n+{text}"));
    found.message = Some(text.to_owned());
    found.reason = Some(text.to_owned());
    *scene.store.syncs.lock().unwrap() = vec![(1, found)];
    let mut task = tasks::task(5, text);
    task.description = Some(text.to_owned());
    task.arguments = json!({text: text});
    task.pre_tasks = vec![text.to_owned()];
    task.saved_by = Some(text.to_owned());
    task.run_input_json_schema = Some(json!({
        "type": "object", "required": ["vlan"],
        "properties": {
            "vlan": {"type": "integer", "title": text, "description": text, "minimum": 1},
            "mode": {"type": "string", "enum": ["access", text]},
            "text": {"type": "string", "default": text, "x-display": "editor"},
        },
    }));
    *scene.store.tasks.lock().unwrap() = vec![task];
    *scene.store.schedules.lock().unwrap() = vec![ScheduleRow {
        number: 1,
        name: text.to_owned(),
        cron: text.to_owned(),
        time_zone: text.to_owned(),
        request: serde_json::from_value(json!({"task": 5, "execute_on_type": "DEVICE"})).unwrap(),
        enabled: false,
        next_at: Some(at()),
        last_at: None,
        saved_at: at(),
        saved_by: Some(text.to_owned()),
    }];
}

fn settled(scene: &Scene, text: &str) {
    let mut dead = dead_letters::dead_letter(1, b"{}");
    dead.body = text.to_owned().into();
    dead.head.reason = text.to_owned();
    dead.head.subject = Some(text.to_owned());
    dead.head.actor = Some(text.to_owned());
    dead.head.kind = text.to_owned();
    dead.head.code = text.to_owned();
    dead.head.lane = text.to_owned();
    dead.head.place = Some(text.to_owned());
    *scene.store.dead_letters.lock().unwrap() = vec![dead];
    *scene.store.counts.lock().unwrap() = DeadLetterTotals {
        newest: Some(1),
        total: 2,
        groups: vec![DeadLetterGroupCount {
            lane: text.to_owned(),
            kind: text.to_owned(),
            code: text.to_owned(),
            count: 1,
        }],
    };
}

/// The message 7 gave `sw1` its cause; element 11 ran there.
fn explained(scene: &Scene, text: &str) {
    let message = InboxRow {
        actor: Some(text.into()),
        subject: Some(text.to_owned()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        ..applied("7")
    };
    let store = &scene.store;
    store.rows.lock().unwrap().insert(message.key(), message);
    store
        .names
        .lock()
        .unwrap()
        .insert((ExecuteOn::Device, "sw1".to_owned()), 1);
    store.entities.devices.lock().unwrap().insert(11, DeviceId(1));
}

fn audited(text: &str) -> NewAuditEntry {
    let some = || Some(text.to_owned());
    NewAuditEntry {
        kind: AuditKind::Command,
        actor: AuditActor {
            principal: some(),
            token: some(),
            address: some(),
            agent: some(),
        },
        message: Some(identity("9")),
        message_type: some(),
        subject: some(),
        reason: some(),
        detail: some(),
    }
}

fn cause(text: &str) -> CauseRow {
    let detail = json!({
        "commit": {"repository": "settings", "id": commit('c'), "author": text, "subject": text, "commits": 3},
        "paths": [{"path": text, "hostname": "sw1"}], "more_paths": 2,
        "interfaces": ["Ethernet1"],
    });
    CauseRow {
        cause: text.to_owned(),
        identity: identity("7"),
        kind: text.to_owned(),
        actor: Some(text.to_owned()),
        at: at(),
        note: Some(text.to_owned()),
        detail: Some(Arc::new(serde_json::from_value(detail).unwrap())),
    }
}

fn unsynchronized(number: i64, text: &str) -> HistoryEntry {
    HistoryEntry {
        position: format!("0.0.{number}").parse().unwrap(),
        event: HistoryEvent::Unsynchronized {
            cause: cause(text),
            open: true,
        },
    }
}

fn changed(number: i64, text: &str) -> HistoryEntry {
    HistoryEntry {
        position: format!("0.0.{number}").parse().unwrap(),
        event: HistoryEvent::Changed {
            row: HistoryRow {
                number,
                at: at(),
                what: text.to_owned(),
                identity: identity("8"),
                kind: text.to_owned(),
                actor: Some(text.to_owned()),
                note: Some(text.to_owned()),
                change: HistoryChange {
                    from: Some(text.to_owned()),
                    to: Some(text.to_owned()),
                    execution: None,
                },
                generation: 2,
                causes: Vec::new(),
            },
            expired: 0,
        },
    }
}

/// Sends a form.
pub(super) async fn submit(scene: &Scene, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let request = request("POST", path, "all").header("content-type", "application/x-www-form-urlencoded");
    scene.send(request.body(Body::from(body)).unwrap()).await
}

/// All pages of [`everything`].
pub(super) const PAGES: [&str; 24] = [
    "/",
    "/?period=30d",
    "/devices",
    "/devices?total=true&limit=20",
    "/devices/sw1",
    "/devices/sw2",
    "/repositories",
    "/executions",
    "/executions/1",
    "/executions/2?outcome=open",
    "/executions/1/devices",
    "/executions/1/devices/sw1",
    "/elements/11",
    "/tasks",
    "/tasks/5",
    "/cloudvision",
    "/dead-letters",
    "/dead-letters/1",
    "/explain",
    "/explain/7?of=message",
    "/explain/1",
    "/explain/11?of=element",
    "/audit",
    "/audit?kind=command&limit=1",
];
