//! How an element ends: by the ends of its phases, or because it was told to stop. Its output is bounded. Pure.

use std::io::{self, Write};

use lockstep_execution::cycle::{CheckResult, PhaseRole, Produced, UnitEnd};
use lockstep_protocol::ElementState;
use lockstep_store::{ElementEnd, EntityResult, Halt, JsonText, NewCheck, NewFact};
use serde_json::Value;

/// The most bytes that the result of an element may have, as JSON: data, results of entities, facts, checks and items together.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;
/// The most bytes of a message for people. Longer ones are cut.
const MAX_MESSAGE: usize = 64 * 1024;

/// Why an element is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its execution begins nothing more, and running elements are to stop.
    Halted(Halt),
    /// It ran for too long.
    TimedOut,
    /// Its lease is lost, or may be.
    Lost,
    /// The worker stops.
    WorkerStops,
}

/// Why an element ended that was told to stop: a word for programs, and a text for people.
pub(super) fn why(told: Why) -> (&'static str, &'static str) {
    match told {
        Why::Lost => (
            "interrupted",
            "its worker lost the connection to the store while it ran",
        ),
        Why::WorkerStops => ("interrupted", "its worker was stopped while it ran"),
        Why::TimedOut => (
            "timed-out",
            "it ran for longer than executions.element_timeout allows",
        ),
        Why::Halted(Halt::Deadline) => ("deadline", "the deadline of the execution passed while it ran"),
        Why::Halted(halt) => (halt.as_str(), "its execution was cancelled while it ran"),
    }
}

/// The end of an element of which no step ran, in a phase of this role.
pub(super) fn failed(role: PhaseRole, reason: &str, message: String) -> UnitEnd {
    UnitEnd {
        state: match role {
            PhaseRole::Pre => ElementState::PrecheckFailed,
            PhaseRole::Main => ElementState::Failed,
            PhaseRole::Post => ElementState::PostcheckFailed,
        },
        reason: Some(reason.to_owned()),
        message: Some(message),
        changed: false,
    }
}

/// An element that ended its stage, and takes part in a later one.
pub(super) fn goes_on_later() -> UnitEnd {
    UnitEnd {
        state: ElementState::Pending,
        reason: None,
        message: None,
        changed: false,
    }
}

/// The rule: how an element ends whose phases ended so, in their order. A failure as a whole counts, then a part that failed in any phase;
/// the task itself speaks for what was done.
pub(super) fn over_phases(ends: &[(PhaseRole, UnitEnd)]) -> UnitEnd {
    let changed = ends.iter().any(|(_, end)| end.changed);
    let state = |state: ElementState| move |end: &&UnitEnd| end.state == state;
    let all = || ends.iter().map(|(_, end)| end);
    let whole = all().find(|end| {
        matches!(
            end.state,
            ElementState::Failed
                | ElementState::PrecheckFailed
                | ElementState::PostcheckFailed
                | ElementState::Aborted
        )
    });
    let decisive = whole.or_else(|| all().find(state(ElementState::PartialFailed)));
    let main = || {
        ends.iter()
            .find(|(role, end)| *role == PhaseRole::Main && end.state == ElementState::Successful)
    };
    let decisive = decisive
        .or_else(|| all().find(|end| end.state != ElementState::Successful))
        .or_else(|| main().map(|(_, end)| end))
        .or_else(|| all().next_back());
    UnitEnd {
        changed,
        ..decisive.cloned().unwrap_or_else(goes_on_later)
    }
}

/// What a unit produced, as rows.
pub(super) fn produced(produced: Produced) -> (Vec<NewFact>, Vec<NewCheck>, Vec<(String, Value)>) {
    let facts = produced.facts.into_iter();
    let facts = facts.map(|(entity_type, entity, key, value)| NewFact {
        entity_type,
        entity,
        key,
        value: value.into(),
    });
    let checks = produced.checks.into_iter().map(|check| NewCheck {
        entity_type: check.entity_type,
        entity: check.entity,
        key: check.key,
        result: match check.result {
            CheckResult::Ok => "ok",
            CheckResult::Nok => "nok",
            CheckResult::Failed => "failed",
        }
        .to_owned(),
        reason: check.reason,
        metrics: check.metrics,
    });
    (facts.collect(), checks.collect(), produced.items)
}

/// The same end, if its output is not too large; else a failure without output.
pub(super) fn bounded(mut end: ElementEnd) -> ElementEnd {
    let results = end.results.iter_mut().map(|result| &mut result.message);
    results.chain([&mut end.message]).for_each(cut);
    if fits(&end) {
        return end;
    }
    let message = format!(
        "the output of the provider has more than {MAX_OUTPUT} bytes, so it is not kept; let it return less"
    );
    let results = end.results.into_iter().map(|result| EntityResult {
        message: None,
        pre_run: Value::Null,
        data: Value::Null,
        ..result
    });
    ElementEnd {
        state: ElementState::Failed,
        next: None,
        parked: None,
        reason: Some("too-large".to_owned()),
        message: Some(message),
        data: JsonText::null(),
        results: results.collect(),
        facts: Vec::new(),
        checks: Vec::new(),
        items: Vec::new(),
        ..end
    }
}

fn cut(message: &mut Option<String>) {
    if let Some(message) = message
        && message.len() > MAX_MESSAGE
    {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
}

fn fits(end: &ElementEnd) -> bool {
    let checks = end.checks.iter().map(|check| &check.metrics);
    let items = end.items.iter().map(|(_, data)| data);
    let results = end
        .results
        .iter()
        .flat_map(|result| [&result.pre_run, &result.data]);
    let mut values = checks.chain(items).chain(results);
    let texts = end
        .facts
        .iter()
        .map(|fact| fact.key.len() + fact.value.as_str().len());
    let texts = texts.chain([end.data.as_str().len()]);
    let texts = texts.chain(
        end.checks
            .iter()
            .map(|check| check.key.len() + check.reason.as_ref().map_or(0, String::len)),
    );
    let texts = texts.chain(end.items.iter().map(|(name, _)| name.len()));
    let messages = end.results.iter().filter_map(|result| result.message.as_ref());
    let texts: usize = texts.chain(messages.map(String::len)).sum();
    let Some(left) = MAX_OUTPUT.checked_sub(texts) else {
        return false;
    };
    let mut bound = Bound { left };
    values.all(|value| serde_json::to_writer(&mut bound, value).is_ok())
}

/// Counts what is written, up to a bound.
struct Bound {
    left: usize,
}

impl Write for Bound {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or_else(|| io::Error::other("the output is too large"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(state: ElementState, reason: Option<&str>) -> UnitEnd {
        UnitEnd {
            state,
            reason: reason.map(str::to_owned),
            message: None,
            changed: false,
        }
    }

    #[test]
    fn an_element_ends_as_its_phases_did() {
        use ElementState::{
            Aborted, Failed, Filtered, PartialFailed, PostcheckFailed, PrecheckFailed, Successful,
        };
        type Ends = Vec<(PhaseRole, ElementState)>;
        let (pre, main, post) = (PhaseRole::Pre, PhaseRole::Main, PhaseRole::Post);
        let table: [(Ends, ElementState, usize); 10] = [
            // phases, the state of the element, the phase that says why
            (vec![(main, Successful)], Successful, 0),
            (
                vec![(pre, Successful), (main, Successful), (post, Successful)],
                Successful,
                1,
            ),
            (vec![(pre, PrecheckFailed)], PrecheckFailed, 0),
            (vec![(pre, PartialFailed), (main, Successful)], PartialFailed, 0),
            (
                vec![(pre, PartialFailed), (main, PartialFailed)],
                PartialFailed,
                0,
            ),
            (vec![(pre, PartialFailed), (main, Failed)], Failed, 1),
            (
                vec![(main, Successful), (post, PostcheckFailed)],
                PostcheckFailed,
                1,
            ),
            (vec![(main, PartialFailed), (post, Filtered)], PartialFailed, 0),
            (vec![(pre, Successful), (main, Aborted)], Aborted, 1),
            (vec![(pre, PartialFailed), (main, Aborted)], Aborted, 1),
        ];
        for (phases, expected, decisive) in table {
            let ends = phases
                .iter()
                .enumerate()
                .map(|(index, (role, state))| (*role, ended(*state, Some(&index.to_string()))));
            let end = over_phases(&ends.collect::<Vec<_>>());
            let reason = decisive.to_string();
            assert_eq!((end.state, end.reason), (expected, Some(reason)), "{phases:?}");
        }
        let changed = UnitEnd {
            changed: true,
            ..ended(Successful, None)
        };
        assert!(over_phases(&[(main, changed), (post, ended(Successful, None))]).changed);
    }

    #[test]
    fn an_element_that_is_told_to_stop_says_why() {
        let table = [
            (Why::Halted(Halt::Cancelled), "cancelled"),
            (Why::Halted(Halt::Deadline), "deadline"),
            (Why::TimedOut, "timed-out"),
            (Why::Lost, "interrupted"),
            (Why::WorkerStops, "interrupted"),
        ];
        for (told, reason) in table {
            assert_eq!(why(told).0, reason);
        }
        let states = [PhaseRole::Pre, PhaseRole::Main, PhaseRole::Post]
            .map(|role| failed(role, "", String::new()).state);
        assert_eq!(
            states,
            [
                ElementState::PrecheckFailed,
                ElementState::Failed,
                ElementState::PostcheckFailed
            ]
        );
    }

    #[test]
    fn output_that_is_too_large_is_a_failure_that_says_so() {
        let end = |data: Value, facts: Vec<NewFact>| ElementEnd {
            number: 1,
            attempt: 1,
            state: ElementState::Successful,
            next: None,
            parked: None,
            reason: None,
            message: Some("ä".repeat(MAX_MESSAGE)),
            changed: true,
            data: data.into(),
            results: Vec::new(),
            facts,
            checks: Vec::new(),
            items: Vec::new(),
        };
        // Two bytes are the quotes.
        let fits = "x".repeat(MAX_OUTPUT - 2);
        let kept = bounded(end(fits.clone().into(), Vec::new()));
        assert_eq!(kept.state, ElementState::Successful);
        assert_eq!(
            kept.message.map(|message| message.len()),
            Some(MAX_MESSAGE + '…'.len_utf8())
        );
        let fact = NewFact {
            entity_type: lockstep_protocol::EntityType::Device,
            entity: 1,
            key: "version".to_owned(),
            value: serde_json::json!(1).into(),
        };
        let refused = bounded(end(fits.into(), vec![fact]));
        assert_eq!(refused.reason.as_deref(), Some("too-large"));
        assert_eq!(
            (refused.state, refused.data),
            (ElementState::Failed, JsonText::null())
        );
        assert!(refused.changed && refused.facts.is_empty());
    }
}
