//! Describes the outcome of a message in one line.

use std::process::ExitCode;

use lockstep_protocol::rest::MessageView;
use lockstep_protocol::results::{
    CommandApplied, DeadLetterAction, DeadLettersSettled, EventApplied, ExecutionAccepted, IgnoredReason,
    MessageRejected, Outcome,
};
use lockstep_protocol::{InboxState, counted};

use super::output;

/// The code, the place and the reason of a rejection.
pub(super) fn rejection(view: &MessageView) -> String {
    match serde_json::from_value::<MessageRejected>(view.result.clone()) {
        Ok(rejected) => {
            let place = rejected
                .place
                .map(|place| format!(" at {place}"))
                .unwrap_or_default();
            format!("{}{place}: {}", rejected.code, rejected.reason)
        }
        // A newer worker may use codes that this version does not know.
        Err(_) => view.result.to_string(),
    }
}

/// The effect of an applied message.
pub(super) fn effect(view: &MessageView) -> String {
    if let Ok(settled) = serde_json::from_value::<DeadLettersSettled>(view.result.clone()) {
        return dead_letters(&settled);
    }
    if let Ok(command) = serde_json::from_value::<CommandApplied>(view.result.clone()) {
        return command.message;
    }
    if let Ok(accepted) = serde_json::from_value::<ExecutionAccepted>(view.result.clone()) {
        return format!(
            "accepted as execution {}: {}",
            accepted.execution,
            elements(accepted.elements, accepted.dry_run)
        );
    }
    let Ok(applied) = serde_json::from_value::<EventApplied>(view.result.clone()) else {
        return format!("{}: {}", view.result_type, view.result);
    };
    let mut line = match applied.outcome {
        Outcome::Applied => format!("applied; {}", flags(applied.flipped)),
        Outcome::Ignored => format!("nothing to do: {}", reason(applied.reason)),
    };
    let names: Vec<&str> = applied
        .devices
        .iter()
        .take(10)
        .map(lockstep_protocol::Hostname::as_str)
        .collect();
    if !names.is_empty() {
        let more = if applied.truncated || applied.devices.len() > names.len() {
            ", …"
        } else {
            ""
        };
        line = format!("{line}; devices: {}{more}", names.join(", "));
    }
    let unknown: Vec<&str> = applied
        .unknown_hostnames
        .iter()
        .map(lockstep_protocol::Hostname::as_str)
        .collect();
    if let Some(commit) = &applied.commit {
        line = format!("{line}; at commit {commit}");
    }
    if !unknown.is_empty() {
        line = format!("{line}; unknown hostnames: {}", unknown.join(", "));
    }
    for warning in &applied.warnings {
        line = format!("{line}; warning: {warning}");
    }
    line
}

/// How many elements an execution has, and whether it changes something.
pub(super) fn elements(count: u64, dry_run: bool) -> String {
    let dry_run = if dry_run { ", dry run" } else { "" };
    format!("{}{dry_run}", counted(count, "element"))
}

fn dead_letters(settled: &DeadLettersSettled) -> String {
    let done = match settled.action {
        DeadLetterAction::Requeued => "requeued",
        DeadLetterAction::Dropped => "dropped",
    };
    let numbers: Vec<String> = settled
        .dead_letters
        .iter()
        .take(10)
        .map(ToString::to_string)
        .collect();
    let mut parts = Vec::new();
    match (settled.settled, numbers.as_slice()) {
        (0, _) => {}
        (1, [number]) => parts.push(format!("{done} {number}")),
        (count, numbers) => {
            let rest = if count > numbers.len() as u64 { ", …" } else { "" };
            parts.push(format!(
                "{done} {}: {}{rest}",
                counted(count, "dead letter"),
                numbers.join(", ")
            ));
        }
    }
    if settled.unchanged > 0 {
        let unchanged = counted(settled.unchanged, "dead letter");
        parts.push(format!("{unchanged} had been requeued or dropped before"));
    }
    if parts.is_empty() {
        parts.push("no dead letter matches".to_owned());
    }
    if settled.more {
        parts.push("more match; run the command again".to_owned());
    }
    parts.join("; ")
}

fn flags(count: u64) -> String {
    match count {
        0 => "no sync flag changed".to_owned(),
        count => format!("{} changed", counted(count, "sync flag")),
    }
}

fn reason(reason: Option<IgnoredReason>) -> &'static str {
    match reason {
        Some(IgnoredReason::StatusOnly) => "only the status of interfaces changed",
        Some(IgnoredReason::Unchanged) => "the stored state already matches the message",
        Some(IgnoredReason::Older) => "a newer message about the same device was applied before",
        Some(IgnoredReason::OtherBranch) => "the push is for another branch than the configured one",
        Some(IgnoredReason::BranchDeleted) => "the branch was deleted; sync flags are unchanged",
        Some(IgnoredReason::Coalesced) => "another push in the same coalesced batch was applied instead",
        None => "the worker gave no reason",
    }
}

/// Prints an outcome, and returns the exit code.
pub(super) fn show(view: &MessageView, json: bool) -> ExitCode {
    if json {
        output::json(view);
    }
    match view.state {
        InboxState::Applied => {
            if !json {
                output::line(&effect(view));
            }
            let applied = serde_json::from_value::<EventApplied>(view.result.clone()).ok();
            let rejected = applied.map(|applied| applied.rejected).unwrap_or_default();
            for device in &rejected {
                output::error(&format!(
                    "{}: {}: {}",
                    device.hostname, device.code, device.reason
                ));
            }
            if rejected.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        InboxState::Dead | InboxState::Refused => {
            output::error(&format!("the message was rejected: {}", rejection(view)));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(state: InboxState, result: serde_json::Value) -> MessageView {
        MessageView {
            source: "urn:test".to_owned(),
            id: "1".to_owned(),
            kind: "lockstep.device.removed".to_owned(),
            state,
            at: "2026-02-03T04:05:06Z".parse().unwrap(),
            by: None,
            result_type: "lockstep.x".to_owned(),
            result,
        }
    }

    #[test]
    fn outcomes_are_described_in_one_line() {
        let applied = json!({"outcome": "applied", "scope": "device", "flipped": 1, "devices": ["sw1"], "truncated": false});
        let ignored = json!({"outcome": "ignored", "reason": "status-only", "scope": "none", "flipped": 0, "devices": [],
            "truncated": false, "unknown_hostnames": ["sw9"]});
        let table = [
            (applied, "applied; 1 sync flag changed; devices: sw1"),
            (
                ignored,
                "nothing to do: only the status of interfaces changed; unknown hostnames: sw9",
            ),
            (json!({"execution": 1}), "lockstep.x: {\"execution\":1}"),
            (
                json!({"changed": true, "message": "saved task uptime", "number": 1}),
                "saved task uptime",
            ),
            (
                json!({"execution": "0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70", "elements": 1, "dry_run": true}),
                "accepted as execution 0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70: 1 element, dry run",
            ),
        ];
        for (result, expected) in table {
            assert_eq!(effect(&view(InboxState::Applied, result)), expected);
        }
        let dead =
            json!({"code": "unknown-device", "reason": "no device is named sw9", "place": "$.data.hostname"});
        assert_eq!(
            rejection(&view(InboxState::Dead, dead)),
            "unknown-device at $.data.hostname: no device is named sw9"
        );
    }

    #[test]
    fn settled_dead_letters_are_described_in_one_line() {
        let settled = |settled: u64, numbers: &[u64], unchanged: u64, more: bool| {
            json!({"action": "requeued", "settled": settled, "dead_letters": numbers, "truncated": false,
                "unchanged": unchanged, "more": more})
        };
        let many: Vec<u64> = (1..=1000).collect();
        let table = [
            (settled(1, &[42], 0, false), "requeued 42"),
            (
                settled(0, &[], 1, false),
                "1 dead letter had been requeued or dropped before",
            ),
            (settled(0, &[], 0, false), "no dead letter matches"),
            (
                settled(2, &[42, 44], 3, false),
                "requeued 2 dead letters: 42, 44; 3 dead letters had been requeued or dropped before",
            ),
            (
                settled(10_000, &many, 0, true),
                "requeued 10000 dead letters: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …; more match; run the command again",
            ),
        ];
        for (result, expected) in table {
            assert_eq!(effect(&view(InboxState::Applied, result)), expected);
        }
    }
}
