//! Causes and events of a device in words. Pure; the texts are untrusted until they are printed.

use lockstep_protocol::counted;
use lockstep_protocol::rest::{CauseView, HistoryEventView};
use lockstep_protocol::{CauseCommit, CausePath, DeviceType};

/// How many characters of the id of a commit are shown.
const COMMIT: usize = 12;
/// How many paths one line shows.
const MOST_PATHS: usize = 3;

/// A cause: the first line says which and when, the others what is known about it.
pub(in crate::cli) fn cause(cause: &CauseView) -> Vec<String> {
    let by = cause
        .by
        .as_ref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    let mut lines = vec![format!("{:.0}  {}{by} ({})", cause.at, cause.cause, cause.event)];
    lines.extend(cause.commit.as_ref().map(commit));
    lines.extend(cause.paths.iter().map(path));
    lines.extend(
        more(cause.more_paths, "path").map(|more| format!("{more}, which may concern other devices")),
    );
    lines.extend(interfaces(cause));
    lines.extend(cause.note.as_ref().map(|note| format!("note: {note}")));
    lines.push(format!("message {} {}", cause.source, cause.id));
    lines
}

/// What happened, in one line.
pub(super) fn event(event: &HistoryEventView) -> String {
    let mut parts = Vec::new();
    match (&event.from, &event.to) {
        (Some(from), Some(to)) => parts.push(format!("from {from} to {to}")),
        (None, Some(to)) => parts.push(format!("as {to}")),
        (_, None) => {}
    }
    if let Some(closed) = event.closed {
        let expired = event
            .expired
            .map(|expired| format!(", {} expired", counted(expired, "cause")));
        parts.push(format!(
            "closed {}{}",
            counted(closed, "cause"),
            expired.unwrap_or_default()
        ));
    }
    if let Some(cause) = &event.cause {
        let open = if event.open == Some(true) { " (open)" } else { "" };
        parts.push(format!("{}{open}", cause.cause));
        parts.extend(cause.commit.as_ref().map(commit));
        parts.extend(cause.paths.iter().take(MOST_PATHS).map(path));
        let others = cause.paths.len().saturating_sub(MOST_PATHS) as u64;
        parts.extend(more(others + cause.more_paths, "path"));
        parts.extend(interfaces(cause));
    }
    parts.extend(event.note.as_ref().map(|note| format!("note: {note}")));
    parts.join("; ")
}

fn commit(commit: &CauseCommit) -> String {
    let id: String = commit.id.as_str().chars().take(COMMIT).collect();
    let text =
        |prefix: &str, text: Option<String>| text.map(|text| format!("{prefix}{text}")).unwrap_or_default();
    let at = commit.committed_at.map(|at| format!("{at:.0}"));
    let others = commit.commits.filter(|commits| *commits > 1);
    let others = others.map(|commits| format!("the last of {commits} commits"));
    format!(
        "commit {id} of {}{}{}{}{}",
        commit.repository,
        text(" by ", commit.author.clone()),
        text(" at ", at),
        text(", ", others),
        text(": ", commit.subject.clone())
    )
}

/// A path with what it concerns, where that is more than one device.
fn path(path: &CausePath) -> String {
    let types: Vec<&str> = path.device_types.iter().map(DeviceType::as_str).collect();
    let types = if types.is_empty() {
        "all devices".to_owned()
    } else {
        types.join(", ")
    };
    let concerns = match (&path.hostname, &path.group, &path.platform) {
        (Some(_), ..) => None,
        (None, Some(group), _) => Some(format!("group {group}")),
        (None, None, Some(platform)) => Some(format!("{types} on {platform}")),
        (None, None, None) => Some(types),
    };
    match concerns {
        Some(concerns) => format!("{} ({concerns})", path.path),
        None => path.path.clone(),
    }
}

fn interfaces(cause: &CauseView) -> Option<String> {
    let mut names: Vec<String> = cause.interfaces.iter().map(ToString::to_string).collect();
    names.extend(more(cause.more_interfaces, "interface"));
    (!names.is_empty()).then(|| names.join(", "))
}

fn more(count: u64, noun: &str) -> Option<String> {
    (count > 0).then(|| format!("… and {}", counted(count, &format!("more {noun}"))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refresh() -> serde_json::Value {
        json!({
            "cause": "refresh_settings", "event": "lockstep.repository.changed", "source": "gitlab", "id": "7",
            "at": "2026-02-03T04:05:06Z", "by": "gateway", "more_paths": 9,
            "commit": {"repository": "settings", "id": "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "author": "Ada Lovelace",
                "subject": "New route", "committed_at": "2026-02-03T04:00:00Z", "commits": 3},
            "paths": [
                {"path": "devices/sw1/base.yml", "hostname": "sw1"},
                {"path": "global/base.yml", "device_types": ["ACCESS", "DIST"]},
                {"path": "groups/LAB/x.yml", "group": "LAB"},
                {"path": "eos/mapping.yml", "platform": "eos"},
            ],
        })
    }

    #[test]
    fn a_cause_tells_its_commit_and_paths() {
        let shown = cause(&serde_json::from_value(refresh()).unwrap());
        let expected = [
            "2026-02-03T04:05:06Z  refresh_settings by gateway (lockstep.repository.changed)",
            "commit 6113728f27ae of settings by Ada Lovelace at 2026-02-03T04:00:00Z, the last of 3 commits: New route",
            "devices/sw1/base.yml",
            "global/base.yml (ACCESS, DIST)",
            "groups/LAB/x.yml (group LAB)",
            "eos/mapping.yml (all devices on eos)",
            "… and 9 more paths, which may concern other devices",
            "message gitlab 7",
        ];
        assert_eq!(shown, expected);
        let mut bare = refresh();
        bare["commit"] = json!({"repository": "settings", "id": "6113728f27ae82c7b1a177c8d03f9e96e0adf246"});
        let shown = cause(&serde_json::from_value(bare).unwrap());
        assert_eq!(shown[1], "commit 6113728f27ae of settings");
    }

    #[test]
    fn an_event_is_one_line() {
        let head = json!({"at": "2026-02-03T04:05:06Z", "event": "x", "source": "s", "id": "1", "by": null, "note": null});
        let with = |more: serde_json::Value| {
            let mut value = head.clone();
            value
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            event(&serde_json::from_value(value).unwrap())
        };
        let interfaces = json!({
            "cause": "interface_updated", "event": "x", "source": "s", "id": "1", "at": "2026-02-03T04:05:06Z", "by": null,
            "interfaces": ["Ethernet1", "Ethernet2"], "more_interfaces": 4,
        });
        for (more, expected) in [
            (json!({"what": "created", "to": "MANAGED"}), "as MANAGED"),
            (
                json!({"what": "moved", "from": "MANAGED", "to": "UNMANAGED", "note": "new power supply"}),
                "from MANAGED to UNMANAGED; note: new power supply",
            ),
            (json!({"what": "synchronized", "closed": 1}), "closed 1 cause"),
            (
                json!({"what": "synchronized", "closed": 5, "expired": 3}),
                "closed 5 causes, 3 causes expired",
            ),
            (
                json!({"what": "unsynchronized", "open": true, "cause": interfaces}),
                "interface_updated (open); Ethernet1, Ethernet2, … and 4 more interfaces",
            ),
            (
                json!({"what": "unsynchronized", "open": false, "cause": refresh()}),
                "refresh_settings; commit 6113728f27ae of settings by Ada Lovelace at 2026-02-03T04:00:00Z, the last of 3 commits: \
                 New route; devices/sw1/base.yml; global/base.yml (ACCESS, DIST); groups/LAB/x.yml (group LAB); … and 10 more paths",
            ),
        ] {
            assert_eq!(with(more.clone()), expected, "{more}");
        }
    }
}
