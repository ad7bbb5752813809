//! The results of the checks.

use lockstep_protocol::counted;
use serde::Serialize;

/// The result of a check, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Ok,
    /// It cannot be checked from here.
    Unknown,
    /// It works, but should be changed.
    Warning,
    /// It does not work.
    Failed,
}

/// One check, its result, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// All findings, in the order of the checks.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, check: &'static str, said: impl Into<String>) {
        self.add(check, State::Ok, said.into(), None);
    }

    pub(super) fn unknown(
        &mut self,
        check: &'static str,
        said: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, State::Unknown, said.into(), Some(advice.into()));
    }

    pub(super) fn warning(
        &mut self,
        check: &'static str,
        said: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, State::Warning, said.into(), Some(advice.into()));
    }

    pub(super) fn failed(&mut self, check: &'static str, said: impl Into<String>, advice: impl Into<String>) {
        self.add(check, State::Failed, said.into(), Some(advice.into()));
    }

    /// The worst result; `Ok` if there are no findings.
    pub(super) fn worst(&self) -> State {
        self.0
            .iter()
            .map(|finding| finding.state)
            .max()
            .unwrap_or(State::Ok)
    }

    /// A line for each finding, and its advice below it.
    pub(super) fn lines(&self) -> Vec<String> {
        let width = self
            .0
            .iter()
            .map(|finding| finding.check.len())
            .max()
            .unwrap_or_default();
        let mut lines = Vec::new();
        for finding in &self.0 {
            let word = match finding.state {
                State::Ok => "ok",
                State::Unknown => "unknown",
                State::Warning => "warning",
                State::Failed => "FAILED",
            };
            lines.push(format!("{word:<8} {:<width$}  {}", finding.check, finding.said));
            if let Some(advice) = &finding.advice {
                lines.push(format!("{:<8} {:<width$}  → {advice}", "", ""));
            }
        }
        let count = |state| self.0.iter().filter(|finding| finding.state == state).count();
        lines.push(format!(
            "{} ok, {} unknown, {}, {} failed",
            count(State::Ok),
            count(State::Unknown),
            counted(count(State::Warning), "warning"),
            count(State::Failed)
        ));
        lines
    }

    fn add(&mut self, check: &'static str, state: State, said: String, advice: Option<String>) {
        self.0.push(Finding {
            check,
            state,
            said,
            advice,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_result_counts_and_advice_is_below_its_line() {
        let mut findings = Findings::default();
        assert_eq!(findings.worst(), State::Ok);
        findings.ok("git", "2.39");
        findings.unknown("clock", "no response", "try again");
        assert_eq!(findings.worst(), State::Unknown);
        findings.failed("store", "unavailable", "start it");
        findings.warning("broker", "old", "renew it");
        assert_eq!(findings.worst(), State::Failed);
        let expected = [
            "ok       git     2.39",
            "unknown  clock   no response",
            "                 → try again",
            "FAILED   store   unavailable",
            "                 → start it",
            "warning  broker  old",
            "                 → renew it",
            "1 ok, 1 unknown, 1 warning, 1 failed",
        ];
        assert_eq!(findings.lines(), expected);
    }
}
