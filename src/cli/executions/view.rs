//! An execution as people read it. Pure.

use jiff::Timestamp;
use lockstep_protocol::rest::{ApprovalView, ElementView, ExecutionView, StageView, StopView};
use lockstep_protocol::{ElementOutcome, ElementState, ExecutionState, counted};
use serde_json::Value;

use crate::cli::elements;

/// What an execution does now, or did, in one line.
pub(in crate::cli) fn status(execution: &ExecutionView) -> String {
    let ExecutionView {
        number,
        state,
        done,
        failed,
        skipped,
        ..
    } = execution;
    let mut line = format!("execution {number} of {} {state}", execution.task);
    if execution.state.is_final() {
        line = format!("{line}: {done} done, {failed} failed, {skipped} skipped");
    } else {
        line = format!(
            "{line}: {} of {} ended ({done} done, {failed} failed, {skipped} skipped)",
            execution.ended(),
            counted(execution.elements, "element"),
        );
    }
    if execution.dry_run {
        line.push_str(", dry run");
    }
    for word in marks(execution) {
        line = format!("{line}, {word}");
    }
    if let Some(reason) = &execution.reason {
        line = format!("{line}; {reason}");
    }
    line
}

/// Where a running execution is, and what keeps its elements from beginning.
fn marks(execution: &ExecutionView) -> Vec<String> {
    if execution.state.is_final() {
        return Vec::new();
    }
    let mut words: Vec<String> = stage(execution).into_iter().collect();
    if let Some(halt) = &execution.halt {
        words.push(format!("nothing more begins ({halt})"));
    }
    if execution.paused {
        words.push("paused".to_owned());
    }
    if execution.in_canary {
        words.push("canary first".to_owned());
    }
    if execution.parked > 0 {
        let holds = if execution.in_canary {
            ", which the others wait for"
        } else {
            ""
        };
        words.push(format!("{} parked{holds}", execution.parked));
    }
    words
}

/// The stage that an execution of several stages is in, and how far that is.
fn stage(execution: &ExecutionView) -> Option<String> {
    let stages = execution.stages.len();
    let now = execution.stage.as_ref().filter(|_| stages > 1)?;
    Some(format!(
        "stage {} of {stages} ({}: {} of {} ended)",
        u32::from(now.index) + 1,
        stage_name(execution, now),
        execution.stage_ended,
        execution.stage_elements
    ))
}

/// A stage, and its task if that is a pre- or post-task.
fn stage_name(execution: &ExecutionView, stage: &StageView) -> String {
    if usize::from(stage.phase) == execution.pre_tasks.len() {
        return stage.stage.to_string();
    }
    format!("{} of {}", stage.stage, stage.task)
}

/// Who stopped all executions, and what to do about it; none if they are not stopped.
pub(super) fn stop(stop: &StopView) -> Option<String> {
    if !stop.stopped {
        return None;
    }
    let by = stop.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let at = stop.at.map(|at| format!(" since {at:.0}")).unwrap_or_default();
    let note = stop
        .note
        .as_ref()
        .map(|note| format!(": {note}"))
        .unwrap_or_default();
    Some(format!(
        "all executions are stopped{by}{at}{note}; `lockstep resume-all` lets them go on"
    ))
}

/// What became of an element, or what it does now.
pub(super) fn said(element: &ElementView, now: Timestamp) -> String {
    let running = |since: Timestamp| {
        let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
        format!("for {seconds} s")
    };
    let parts = match element.state {
        ElementState::Pending => match element.resume_at {
            Some(time) => [Some(format!("parked until {time:.0}")), element.message.clone()],
            None => [
                elements::waits_for(element).map(|scope| format!("waits for {scope}")),
                None,
            ],
        },
        ElementState::Running => [element.started_at.map(running), None],
        _ => [element.reason.clone(), element.message.clone()],
    };
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(": ")
}

/// The rows of a table of elements: name, state and what they say.
pub(super) fn rows(elements: &[ElementView], now: Timestamp) -> Vec<Vec<String>> {
    let row = |element: &ElementView| {
        vec![
            element.name.clone(),
            element.state.to_string(),
            said(element, now),
        ]
    };
    elements.iter().map(row).collect()
}

/// The header of [`rows`].
pub(super) const HEADER: [&str; 3] = ["NAME", "STATE", "SAID"];

/// The elements to show below the progress bar: the failed ones first, then those that run, as many as fit.
pub(super) fn picked(failed: Vec<ElementView>, open: Vec<ElementView>, most: usize) -> Vec<ElementView> {
    let mut running: Vec<ElementView> = open
        .into_iter()
        .filter(|element| element.state == ElementState::Running)
        .collect();
    // Whoever runs longest is what one waits for.
    running.sort_by_key(|element| element.started_at);
    let failed = failed
        .into_iter()
        .filter(|element| element.outcome == Some(ElementOutcome::Failed));
    let mut picked: Vec<ElementView> = failed.take(most.div_ceil(2)).collect();
    let left = most - picked.len();
    picked.extend(running.into_iter().take(left));
    picked
}

/// All fields of an execution.
pub(super) fn fields(execution: &ExecutionView) -> Vec<String> {
    let time = |time: Option<Timestamp>| time.map(|time| format!("{time:.0}"));
    let json = |value: &Value| (!value.is_null()).then(|| value.to_string());
    let state = match &execution.reason {
        Some(reason) => format!("{}: {reason}", execution.state),
        None => execution.state.to_string(),
    };
    let marks = marks(execution).join(", ");
    let pairs = [
        ("number", Some(execution.number.to_string())),
        ("id", Some(execution.id.to_string())),
        ("task", Some(execution.task.clone())),
        ("provider", Some(execution.provider.clone())),
        ("state", Some(state)),
        ("now", Some(marks).filter(|marks| !marks.is_empty())),
        (
            "dry run",
            Some(if execution.dry_run { "yes" } else { "no" }.to_owned()),
        ),
        (
            "elements",
            Some(format!(
                "{}: {} done, {} failed, {} skipped, {} open",
                execution.elements,
                execution.done,
                execution.failed,
                execution.skipped,
                execution.elements.saturating_sub(execution.ended())
            )),
        ),
        ("runs on", Some(execution.run_on.to_string())),
        ("pre-tasks", names(&execution.pre_tasks)),
        ("post-tasks", names(&execution.post_tasks)),
        ("stages", stages(execution)),
        ("arguments", json(&execution.task_arguments)),
        ("of the run", json(&execution.arguments)),
        ("limits", limits(execution)),
        ("accepted", time(Some(execution.accepted_at))),
        ("by", execution.by.clone()),
        ("started", time(execution.started_at)),
        ("ended", time(execution.ended_at)),
        ("deadline", time(execution.deadline_at)),
        ("relaunch of", execution.relaunch_of.map(|id| id.to_string())),
        (
            "workflow",
            execution
                .parent
                .map(|parent| format!("step {} of execution {}", parent.step, parent.execution)),
        ),
    ];
    let approvals = execution
        .approvals
        .iter()
        .map(|approval| ("approved", Some(approved(approval))));
    pairs
        .into_iter()
        .chain(approvals)
        .filter_map(|(name, value)| Some(format!("{name:<13}{}", value?)))
        .collect()
}

/// Who approved a plan, when, until when that counts, and why.
pub(in crate::cli) fn approved(approval: &ApprovalView) -> String {
    let note = approval
        .note
        .as_ref()
        .map(|note| format!(": {note}"))
        .unwrap_or_default();
    format!(
        "by {} at {:.0}, until {:.0}{note}",
        approval.by, approval.at, approval.expires_at
    )
}

fn names(tasks: &[String]) -> Option<String> {
    (!tasks.is_empty()).then(|| tasks.join(", "))
}

/// All stages, if there are several.
fn stages(execution: &ExecutionView) -> Option<String> {
    let names = execution.stages.iter().map(|stage| stage_name(execution, stage));
    let names: Vec<String> = names.collect();
    (names.len() > 1).then(|| names.join(", "))
}

fn limits(execution: &ExecutionView) -> Option<String> {
    let limits = &execution.limits;
    let parts = [
        limits.at_once.map(|most| format!("{most} at once")),
        limits.canary.map(|first| format!("canary of {first}")),
        limits.wave.map(|size| format!("waves of {size}")),
        limits
            .max_failed_percent
            .map(|percent| format!("at most {percent} % failed")),
        limits.deadline_seconds.map(|seconds| format!("{seconds} s")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What to type next after an execution ended so.
pub(super) fn hint(execution: &ExecutionView) -> Option<String> {
    let number = execution.number;
    match execution.state {
        ExecutionState::Failed | ExecutionState::PartialFailed => Some(format!(
            "the failed ones: lockstep elements list {number} --outcome failed; again: lockstep executions relaunch {number} --failed"
        )),
        ExecutionState::Aborted if execution.skipped > 0 => Some(format!(
            "the skipped ones: lockstep elements list {number} --outcome skipped"
        )),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use lockstep_protocol::Stage;
    use serde_json::json;

    use super::*;

    pub(in super::super) fn execution(change: impl FnOnce(&mut ExecutionView)) -> ExecutionView {
        let json = json!({
            "number": 12, "id": "0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70", "task": "uptime", "task_number": 1, "provider": "command",
            "state": "RUNNING", "reason": null, "dry_run": false, "paused": false, "halt": null, "in_canary": false, "elements": 10,
            "done": 3, "failed": 1, "skipped": 0, "accepted_at": "2026-02-03T04:05:06Z", "started_at": null, "ended_at": null,
            "deadline_at": null, "by": "anna", "execute_on_type": "DEVICE", "run_on": "DEVICE", "task_arguments": {"a": 1},
            "arguments": null, "limits": {"at_once": 5}, "relaunch_of": null,
        });
        let mut execution = serde_json::from_value(json).unwrap();
        change(&mut execution);
        execution
    }

    /// A check of devices comes first, and the fleet at the end.
    fn in_stages(execution: &mut ExecutionView, index: u16) {
        let stage = |index, phase, task: &str, stage| StageView {
            index,
            phase,
            task: task.to_owned(),
            stage,
        };
        execution.pre_tasks = vec!["reachable".to_owned()];
        execution.stages = vec![
            stage(0, 0, "reachable", Stage::Devices),
            stage(1, 1, "uptime", Stage::Devices),
            stage(2, 1, "uptime", Stage::RunGlobal),
        ];
        execution.stage = execution.stages.get(usize::from(index)).cloned();
        (execution.stage_elements, execution.stage_ended) = (9, 2);
    }

    fn element(number: u64, state: ElementState, change: impl FnOnce(&mut ElementView)) -> ElementView {
        let json = json!({
            "number": number, "execution": 12, "entity_type": "DEVICE", "entity": 1, "name": format!("sw{number}"), "hostname": null,
            "state": state, "outcome": state.outcome(), "waits_for": null, "reason": null, "message": null, "changed": false,
            "attempts": 1, "started_at": null, "ended_at": null,
        });
        let mut element = serde_json::from_value(json).unwrap();
        change(&mut element);
        element
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_status_says_what_an_execution_does_or_did() {
        type Change = fn(&mut ExecutionView);
        let table: [(Change, &str); 7] = [
            (
                |_| {},
                "execution 12 of uptime RUNNING: 4 of 10 elements ended (3 done, 1 failed, 0 skipped)",
            ),
            (
                |it| {
                    it.dry_run = true;
                    it.paused = true;
                    it.in_canary = true;
                },
                "execution 12 of uptime RUNNING: 4 of 10 elements ended (3 done, 1 failed, 0 skipped), dry run, paused, canary first",
            ),
            (
                |it| {
                    it.in_canary = true;
                    it.parked = 2;
                },
                "execution 12 of uptime RUNNING: 4 of 10 elements ended (3 done, 1 failed, 0 skipped), canary first, \
                 2 parked, which the others wait for",
            ),
            (
                |it| it.halt = Some("deadline".to_owned()),
                "execution 12 of uptime RUNNING: 4 of 10 elements ended (3 done, 1 failed, 0 skipped), nothing more begins (deadline)",
            ),
            (
                |it| {
                    it.state = ExecutionState::Aborted;
                    it.skipped = 6;
                    it.halt = Some("cancelled".to_owned());
                    it.reason = Some("cancelled by anna".to_owned());
                },
                "execution 12 of uptime ABORTED: 3 done, 1 failed, 6 skipped; cancelled by anna",
            ),
            (
                |it| {
                    in_stages(it, 1);
                    it.paused = true;
                },
                "execution 12 of uptime RUNNING: 4 of 10 elements ended (3 done, 1 failed, 0 skipped), \
                 stage 2 of 3 (devices: 2 of 9 ended), paused",
            ),
            (
                |it| in_stages(it, 0),
                "execution 12 of uptime RUNNING: 4 of 10 elements ended (3 done, 1 failed, 0 skipped), \
                 stage 1 of 3 (devices of reachable: 2 of 9 ended)",
            ),
        ];
        for (change, expected) in table {
            assert_eq!(status(&execution(change)), expected);
        }
    }

    #[test]
    fn an_element_says_what_it_waits_for_or_what_became_of_it() {
        use ElementState::{Failed, Pending, Running, Successful};

        for (element, expected) in [
            (element(1, Pending, |_| {}), ""),
            (
                element(1, Pending, |it| it.waits_for = Some("device/sw1".to_owned())),
                "waits for device/sw1",
            ),
            (
                element(1, Pending, |it| {
                    it.waits_for = Some("stage/12/2".to_owned());
                    it.stage = execution(|it| in_stages(it, 2)).stage;
                }),
                "waits for stage run-global of uptime",
            ),
            (
                element(1, Pending, |it| {
                    it.waits_for = Some("parked".to_owned());
                    it.resume_at = Some(at(0));
                    it.message = Some("a freeze window is open".to_owned());
                }),
                "parked until 1970-01-01T00:00:00Z: a freeze window is open",
            ),
            (element(1, Running, |it| it.started_at = Some(at(95))), "for 5 s"),
            (
                element(1, Successful, |it| it.message = Some("reachable".to_owned())),
                "reachable",
            ),
            (
                element(1, Failed, |it| {
                    it.reason = Some("unreachable".to_owned());
                    it.message = Some("no route".to_owned());
                }),
                "unreachable: no route",
            ),
        ] {
            assert_eq!(said(&element, at(100)), expected);
        }
    }

    #[test]
    fn failed_elements_and_those_that_run_longest_are_picked() {
        use ElementState::{Failed, Pending, Running};

        let numbers = |picked: Vec<ElementView>| -> Vec<u64> { picked.iter().map(|it| it.number).collect() };
        let failed: Vec<ElementView> = (1..=9).map(|number| element(number, Failed, |_| {})).collect();
        let open = vec![
            element(20, Pending, |_| {}),
            element(21, Running, |it| it.started_at = Some(at(9))),
            element(22, Running, |it| it.started_at = Some(at(3))),
            element(23, Running, |it| it.started_at = Some(at(6))),
        ];
        let pick = |most| numbers(picked(failed.clone(), open.clone(), most));
        assert_eq!(pick(0), [0; 0]);
        assert_eq!(pick(4), [1, 2, 22, 23]);
        assert_eq!(pick(20), [1, 2, 3, 4, 5, 6, 7, 8, 9, 22, 23, 21]);
        assert_eq!(numbers(picked(Vec::new(), open.clone(), 2)), [22, 23]);
    }

    #[test]
    fn a_stop_says_since_when_and_what_to_do() {
        assert_eq!(stop(&StopView::default()), None);
        let stopped = StopView {
            stopped: true,
            at: Some(at(0)),
            by: Some("anna".to_owned()),
            note: Some("fire".to_owned()),
        };
        assert_eq!(
            stop(&stopped).unwrap(),
            "all executions are stopped by anna since 1970-01-01T00:00:00Z: fire; `lockstep resume-all` lets them go on"
        );
    }

    #[test]
    fn absent_fields_are_left_out_and_limits_are_words() {
        let lines = fields(&execution(|it| it.reason = Some("because".to_owned()))).join("\n");
        for expected in [
            "number       12\n",
            "state        RUNNING: because\n",
            "elements     10: 3 done, 1 failed, 0 skipped, 6 open\n",
            "arguments    {\"a\":1}\n",
            "limits       5 at once\n",
        ] {
            assert!(lines.contains(expected), "{lines}");
        }
        for absent in [
            "deadline",
            "relaunch of",
            "of the run",
            "now",
            "stages",
            "pre-tasks",
        ] {
            assert!(!lines.contains(absent), "{absent}: {lines}");
        }
        let lines = fields(&execution(|it| in_stages(it, 2))).join("\n");
        for expected in [
            "now          stage 3 of 3 (run-global: 2 of 9 ended)\n",
            "pre-tasks    reachable\n",
            "stages       devices of reachable, devices, run-global\n",
        ] {
            assert!(lines.contains(expected), "{lines}");
        }
    }
}
