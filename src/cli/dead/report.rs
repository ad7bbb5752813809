//! Describes dead letters before and after they are requeued or dropped.

use lockstep_protocol::rest::{DeadLetterCounts, DeadLetterView, MessageView};
use lockstep_protocol::results::{DeadLetterAction, DeadLettersSettled};
use lockstep_protocol::{DeadLetterState, InboxState, counted};
use serde::Serialize;

use crate::cli::{outcome, output};

/// The sum of all commands, and the outcome of each.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// How many dead letters were requeued or dropped.
    pub(super) settled: u64,
    /// How many had been requeued or dropped before.
    pub(super) unchanged: u64,
    /// How many commands were rejected.
    pub(super) failed: u64,
    outcomes: Vec<MessageView>,
}

/// The result of one command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// Dead letters were settled; true if more match.
    Done(bool),
    /// The dead letters had been settled before.
    Unchanged,
    /// The command was rejected; with the reason.
    Failed(String),
    /// A newer worker answered with a result that this version does not know.
    Other(String),
}

impl Report {
    /// Adds an outcome, and returns its meaning.
    pub(super) fn add(&mut self, view: MessageView) -> Settled {
        let settled = self.read(&view);
        self.outcomes.push(view);
        settled
    }

    fn read(&mut self, view: &MessageView) -> Settled {
        if view.state != InboxState::Applied {
            self.failed += 1;
            return Settled::Failed(outcome::rejection(view));
        }
        let Ok(settled) = serde_json::from_value::<DeadLettersSettled>(view.result.clone()) else {
            return Settled::Other(outcome::effect(view));
        };
        self.settled += settled.settled;
        self.unchanged += settled.unchanged;
        if settled.settled == 0 {
            Settled::Unchanged
        } else {
            Settled::Done(settled.more)
        }
    }
}

/// The line for a dead letter that was settled.
pub(super) fn one(action: DeadLetterAction, dead_letter: &DeadLetterView) -> String {
    let number = dead_letter.number;
    let what = format!(
        "{} from {}, {}",
        dead_letter.kind, dead_letter.lane, dead_letter.code
    );
    match action {
        DeadLetterAction::Requeued => format!("requeued {number} ({what})"),
        DeadLetterAction::Dropped => format!("dropped {number} ({what})"),
    }
}

/// The line for a dead letter that had been settled before.
pub(super) fn settled_before(dead_letter: &DeadLetterView) -> String {
    let number = dead_letter.number;
    let how = match dead_letter.state {
        DeadLetterState::Dropped => "dropped",
        DeadLetterState::Requeued | DeadLetterState::Processed => "requeued",
        DeadLetterState::Dead => "requeued or dropped",
    };
    let by = dead_letter.settled_by.as_deref().map(|by| format!(" by {by}"));
    let at = dead_letter.settled_at.map(|at| format!(" at {at:.0}"));
    format!(
        "dead letter {number} was {how} before{}{}",
        by.unwrap_or_default(),
        at.unwrap_or_default()
    )
}

/// A table of the dead letters that a command will settle.
pub(super) fn preview(action: DeadLetterAction, counts: &DeadLetterCounts) -> Vec<String> {
    let what = match action {
        DeadLetterAction::Requeued => "to be processed again",
        DeadLetterAction::Dropped => "to be dropped without processing",
    };
    let text = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    let rows: Vec<[String; 4]> = counts
        .groups
        .iter()
        .map(|group| {
            [
                group.count.to_string(),
                text(&group.lane),
                text(&group.kind),
                text(&group.code),
            ]
        })
        .collect();
    let mut lines = vec![format!("{}, {what}:", dead_letters(counts.total))];
    let table = output::table(["COUNT", "LANE", "TYPE", "CODE"], &rows);
    lines.extend(table.into_iter().map(|line| format!("  {line}")));
    if counts.truncated {
        lines.push("  … and more groups".to_owned());
    }
    lines
}

/// The sum of all commands, in one line.
pub(super) fn sum(action: DeadLetterAction, report: &Report) -> String {
    let done = match action {
        DeadLetterAction::Requeued => "requeued",
        DeadLetterAction::Dropped => "dropped",
    };
    format!("{done} {}", dead_letters(report.settled))
}

fn dead_letters(count: u64) -> String {
    counted(count, "dead letter")
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::rest::DeadLetterGroup;
    use serde_json::{Value, json};

    use super::*;

    fn view(state: InboxState, result: Value) -> MessageView {
        MessageView {
            source: "urn:lockstep:cli".to_owned(),
            id: "1".to_owned(),
            kind: "lockstep.dead-letter.requeue-requested".to_owned(),
            state,
            at: "2026-02-03T04:05:06Z".parse().unwrap(),
            by: None,
            result_type: "lockstep.dead-letters.settled".to_owned(),
            result,
        }
    }

    fn settled(settled: u64, unchanged: u64, more: bool) -> Value {
        json!({"action": "requeued", "settled": settled, "dead_letters": [], "truncated": false, "unchanged": unchanged,
            "more": more})
    }

    #[test]
    fn outcomes_are_counted() {
        let rejected = json!({"code": "unknown-dead-letter", "reason": "there is no dead letter 9"});
        let table = [
            (InboxState::Applied, settled(10_000, 0, true), Settled::Done(true)),
            (InboxState::Applied, settled(2, 0, false), Settled::Done(false)),
            (InboxState::Applied, settled(0, 1, false), Settled::Unchanged),
            (
                InboxState::Dead,
                rejected,
                Settled::Failed("unknown-dead-letter: there is no dead letter 9".to_owned()),
            ),
        ];
        let mut report = Report::default();
        for (state, result, expected) in table {
            assert_eq!(report.add(view(state, result)), expected);
        }
        let other = report.add(view(InboxState::Applied, json!({"news": 1})));
        assert!(matches!(other, Settled::Other(_)), "{other:?}");
        assert_eq!(
            (
                report.settled,
                report.unchanged,
                report.failed,
                report.outcomes.len()
            ),
            (10_002, 1, 1, 5)
        );
        assert_eq!(
            sum(DeadLetterAction::Requeued, &report),
            "requeued 10002 dead letters"
        );
    }

    /// The loop over commands must end, whatever the worker answers.
    #[test]
    fn a_command_that_settles_nothing_ends_the_loop() {
        let mut report = Report::default();
        let answer = report.add(view(InboxState::Applied, settled(0, 0, true)));
        assert_eq!(answer, Settled::Unchanged);
    }

    #[test]
    fn a_dead_letter_settled_before_names_the_user_and_the_time() {
        let mut dead_letter: DeadLetterView = serde_json::from_value(json!({
            "number": 43, "state": "processed", "source": "urn:test", "id": "1", "redrive_count": 0, "lane": "events", "type": "lockstep.x",
            "code": "crashed", "reason": "", "attempts": 1, "first_at": "2026-02-03T04:05:06Z",
            "dead_lettered_at": "2026-02-03T04:05:07Z", "settled_at": "2026-02-03T05:00:00Z", "settled_by": "ops", "bytes": 2,
        }))
        .unwrap();
        assert_eq!(
            settled_before(&dead_letter),
            "dead letter 43 was requeued before by ops at 2026-02-03T05:00:00Z"
        );
        dead_letter.state = DeadLetterState::Dropped;
        assert!(settled_before(&dead_letter).contains("was dropped before"));
        assert_eq!(
            one(DeadLetterAction::Requeued, &dead_letter),
            "requeued 43 (lockstep.x from events, crashed)"
        );
    }

    #[test]
    fn the_preview_is_a_table() {
        let group = |kind: &str, count| DeadLetterGroup {
            lane: "events".to_owned(),
            kind: kind.to_owned(),
            code: "crashed".to_owned(),
            count,
        };
        let counts = DeadLetterCounts {
            newest: Some(9),
            total: 5,
            groups: vec![group("lockstep.x", 3), group("", 1)],
            truncated: true,
        };
        let expected = [
            "5 dead letters, to be processed again:",
            "  COUNT  LANE    TYPE        CODE",
            "  3      events  lockstep.x  crashed",
            "  1      events  -           crashed",
            "  … and more groups",
        ];
        assert_eq!(preview(DeadLetterAction::Requeued, &counts), expected);
    }
}
