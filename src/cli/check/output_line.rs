//! What a plugin prints. Pure. The format is that of the Monitoring Plugins Development Guidelines.

use std::process::ExitCode;

use lockstep_protocol::rest::FleetAges;
use serde::Serialize;

use crate::terminal::visible;

/// A state, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl Status {
    /// The exit code.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(self.number())
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A number that monitoring systems record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Performance {
    pub(super) label: &'static str,
    pub(super) value: u64,
    /// `s` for seconds; empty for a count.
    pub(super) unit: &'static str,
    /// From which value on the state is WARNING, and CRITICAL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thresholds: Option<[u64; 2]>,
    /// The largest value that is possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) most: Option<u64>,
}

impl Performance {
    /// `'label'=value[unit];[warn];[crit];[min];[max]`, without what is empty at the end.
    fn text(&self) -> String {
        let [warning, critical] = match self.thresholds {
            Some(thresholds) => thresholds.map(|threshold| threshold.to_string()),
            None => Default::default(),
        };
        let most = self.most.map(|most| most.to_string()).unwrap_or_default();
        let text = format!(
            "{}={}{};{warning};{critical};0;{most}",
            self.label, self.value, self.unit
        );
        text.trim_end_matches(';').to_owned()
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Report {
    pub(super) status: Status,
    pub(super) summary: String,
    pub(super) performance: Vec<Performance>,
    pub(super) details: Vec<String>,
    /// What the console measured, for scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) measured: Option<FleetAges>,
}

impl Report {
    /// A check that found nothing out.
    pub(super) fn unknown(reason: &str) -> Self {
        Self {
            status: Status::Unknown,
            summary: reason.to_owned(),
            performance: Vec::new(),
            details: Vec::new(),
            measured: None,
        }
    }

    /// The lines of a plugin. A vertical bar begins performance data, so it never comes from a text.
    pub(super) fn lines(&self, name: &str) -> Vec<String> {
        let plain = |text: &str| visible(text).replace('|', "/");
        let mut first = format!("{name} {} - {}", self.status.as_str(), plain(&self.summary));
        if !self.performance.is_empty() {
            let performance: Vec<String> = self.performance.iter().map(Performance::text).collect();
            first = format!("{first} | {}", performance.join(" "));
        }
        std::iter::once(first)
            .chain(self.details.iter().map(|line| plain(line)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_has_performance_data_and_no_other_bar() {
        let report = Report {
            status: Status::Critical,
            summary: "2 | of 3\nthings".to_owned(),
            performance: vec![
                Performance {
                    label: "oldest",
                    value: 7200,
                    unit: "s",
                    thresholds: Some([1800, 3600]),
                    most: None,
                },
                Performance {
                    label: "unsynchronized",
                    value: 2,
                    unit: "",
                    thresholds: None,
                    most: Some(3),
                },
            ],
            details: vec!["sw1: a|b".to_owned(), "sw2: \u{1b}[2J".to_owned()],
            measured: None,
        };
        assert_eq!(
            report.lines("SYNC-AGE"),
            [
                "SYNC-AGE CRITICAL - 2 / of 3\\nthings | oldest=7200s;1800;3600;0 unsynchronized=2;;;0;3",
                "sw1: a/b",
                "sw2: \\u{1b}[2J",
            ]
        );
        assert_eq!(
            Report::unknown("cannot connect").lines("CHECK"),
            ["CHECK UNKNOWN - cannot connect"]
        );
    }
}
