//! What a device shows of its configuration sessions, in both dialects.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::clock::Clock;
use super::configurations::{Configurations, Timer};
use super::knobs::Dialect;
use super::show::Answer;
use super::{duration, show};

/// The number of committed sessions that a device lists.
const MAX_COMPLETED: usize = 1;

/// A row of the list.
struct Row<'row> {
    name: &'row str,
    state: &'static str,
    /// Who opened the session, while it is open.
    user: &'row str,
    /// Who committed it, and when.
    committed: Option<(&'row str, Duration)>,
}

/// Answers `show configuration sessions`, with `detail` or without.
pub(super) fn list(configurations: &Configurations, clock: &Clock, now: Duration, detail: bool) -> Answer {
    let rows = rows(configurations);
    Answer {
        json: Some(as_json(configurations, &rows, clock, detail)),
        text: as_text(configurations, &rows, clock, now, detail),
    }
}

fn rows(configurations: &Configurations) -> Vec<Row<'_>> {
    let pending = configurations.sessions.iter().map(|(name, session)| Row {
        name,
        state: "pending",
        user: &session.user,
        committed: None,
    });
    let committed = match configurations.knobs.dialect {
        Dialect::UpTo431 if configurations.timer.is_some() => "pendingCommitTimer",
        Dialect::UpTo431 => "completed",
        Dialect::Since432 => "committed",
    };
    let completed = configurations.completed.iter().map(|completed| Row {
        name: &completed.name,
        state: committed,
        user: "",
        committed: Some((&completed.user, completed.at)),
    });
    let mut rows: Vec<Row<'_>> = pending.chain(completed).collect();
    rows.sort_by_key(|row| row.name);
    rows
}

fn as_json(configurations: &Configurations, rows: &[Row<'_>], clock: &Clock, detail: bool) -> Value {
    let mut sessions = Map::new();
    for (number, row) in rows.iter().enumerate() {
        let mut session = json!({
            "state": row.state, "commitUser": row.committed.map_or("", |(user, _)| user), "description": "",
            "instances": {},
        });
        if let Some((_, at)) = row.committed {
            session["completedTime"] = json!(clock.unix_seconds(at));
        } else {
            let terminal = format!("vty{}", 4 + number);
            session["instances"][(1000 + number).to_string()] =
                json!({"user": row.user, "terminal": terminal, "currentTerminal": false});
        }
        if detail && row.state == "pendingCommitTimer" {
            session["commitBy"] = configurations
                .timer
                .as_ref()
                .map_or(Value::Null, |timer| json!(end(configurations, timer, clock)));
        }
        sessions.insert(row.name.to_owned(), session);
    }
    let mut answer = json!({
        "sessions": sessions, "maxSavedSessions": MAX_COMPLETED, "maxOpenSessions": configurations.knobs.max_pending,
        "mergeOnCommit": false, "saveToStartupConfigOnCommit": false,
    });
    if let (true, Dialect::Since432, Some(timer)) =
        (detail, configurations.knobs.dialect, &configurations.timer)
    {
        answer["commitTimerSessionName"] = json!(timer.session);
        answer["commitTimerExpireTime"] = json!(end(configurations, timer, clock));
    }
    answer
}

/// When the timer is over, in seconds: since the device started, or since 1970.
fn end(configurations: &Configurations, timer: &Timer, clock: &Clock) -> f64 {
    if configurations.knobs.absolute_times {
        clock.unix_seconds(timer.due)
    } else {
        show::uptime(configurations.restarted, timer.due).as_secs_f64()
    }
}

fn as_text(
    configurations: &Configurations,
    rows: &[Row<'_>],
    clock: &Clock,
    now: Duration,
    detail: bool,
) -> String {
    let max_pending = configurations.knobs.max_pending;
    let mut text = format!(
        "Maximum number of completed sessions: {MAX_COMPLETED}\nMaximum number of pending sessions: {max_pending}\n\
         Merge on commit is disabled\nAutosave to startup-config on commit is disabled\n\n"
    );
    let timer = configurations.timer.as_ref().filter(|_| detail);
    if let (Dialect::Since432, Some(timer)) = (configurations.knobs.dialect, timer) {
        let left = duration::show(timer.due.saturating_sub(now));
        let name = &timer.session;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "Session with pending commit timer: {name}\nTime left until commit timer expiry: in {left}\n\n"
        );
    }
    text.push_str(
        "  Name                           State              User         Completed Time  Committed By\n\
         - ------------------------------ ------------------ ------------ --------------- ------------\n",
    );
    for row in rows {
        let (user, time) = row.committed.map_or(("", String::new()), |(user, at)| {
            (user, format!("{:.0}", clock.unix_seconds(at)))
        });
        let _ = writeln!(
            text,
            "  {:<30} {:<18} {:<12} {time:<15} {user}",
            row.name, row.state, row.user
        );
    }
    text
}
