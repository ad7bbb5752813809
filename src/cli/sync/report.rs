//! What a sync came to, as an operator pastes it into a change ticket.

use std::process::ExitCode;

use jiff::Timestamp;
use lockstep_protocol::rest::{ExecutionView, SyncDeviceView};
use lockstep_protocol::{CommitId, ElementOutcome, counted, total_change_score};
use serde::Serialize;

use crate::cli::client::Client;
use crate::cli::executions::approved;
use crate::cli::output;

/// The largest page of the console.
const PAGE: usize = 1000;
/// Up to so many devices that differ, their differences are shown without being asked for.
const SHOWN: usize = 3;

/// A sync with all its devices.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) execution: ExecutionView,
    /// The number of the plan that it applies, or of the execution whose way back it plans.
    #[serde(skip)]
    source: Option<u64>,
    /// From 0 to 100, by the rules of CNaaS NMS.
    pub(super) change_score: u8,
    pub(super) devices: Vec<SyncDeviceView>,
}

/// What became of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Open,
    Changed,
    Unchanged,
    Failed,
    Skipped,
}

fn verdict(device: &SyncDeviceView) -> Verdict {
    match device.outcome {
        None => Verdict::Open,
        Some(ElementOutcome::Done) if device.changed => Verdict::Changed,
        Some(ElementOutcome::Done) => Verdict::Unchanged,
        Some(ElementOutcome::Failed) => Verdict::Failed,
        Some(ElementOutcome::Skipped) => Verdict::Skipped,
    }
}

impl Report {
    /// Reads the devices of a sync.
    ///
    /// # Errors
    /// If the console rejects a request or cannot be reached.
    pub(super) async fn read(client: &Client, execution: ExecutionView) -> anyhow::Result<Self> {
        let number = execution.number.to_string();
        let mut devices = Vec::new();
        let mut after: Option<u64> = None;
        loop {
            let mut query = vec![("limit", PAGE.to_string())];
            query.extend(after.map(|after| ("after", after.to_string())));
            let page = client.sync_devices(&number, &query).await?;
            devices.extend(page.devices);
            match page.next {
                Some(next) if after.is_none_or(|after| next > after) => after = Some(next),
                _ => break,
            }
        }
        let source = [
            &execution.task_arguments["plan"],
            &execution.task_arguments["rollback"],
        ];
        let source = match source.into_iter().find_map(|id| id.as_str()) {
            // It may be gone: executions have a retention.
            Some(id) => client.execution(id).await.ok().map(|source| source.number),
            None => None,
        };
        Ok(Self {
            change_score: change_score(&devices),
            source,
            execution,
            devices,
        })
    }

    /// Prints it: the summary, the devices, and the differences if there are few, or if they are asked for.
    pub(super) fn show(&self, differences: bool) {
        for line in self.summary() {
            output::line(&line);
        }
        if !self.devices.is_empty() {
            output::line("");
            let width = output::size().map(|size| size.columns);
            let rows: Vec<Vec<String>> = self.devices.iter().map(|device| self.row(device)).collect();
            output::lines(&output::fitted(&HEADER, &rows, width, &[4]), None);
        }
        let differing = self.devices.iter().filter_map(|device| {
            let diff = device.diff.as_deref().filter(|diff| !diff.is_empty())?;
            Some((device, diff))
        });
        let differing: Vec<_> = differing.collect();
        if differences || differing.len() <= SHOWN {
            for (device, diff) in differing {
                output::line("");
                output::line(&format!("{}:", device.hostname));
                output::difference(diff, None);
            }
        } else {
            output::note(&format!(
                "the differences: lockstep sync show {} --diffs, of one device: lockstep sync diff {} HOST",
                self.execution.number, self.execution.number
            ));
        }
    }

    /// 0 if every device was done.
    pub(super) fn exit_code(&self) -> ExitCode {
        let execution = &self.execution;
        if execution.failed == 0 && execution.skipped == 0 && execution.halt.is_none() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// How many devices were changed, or would be.
    pub(super) fn changed(&self) -> usize {
        self.count(Verdict::Changed)
    }

    fn count(&self, verdict_of: Verdict) -> usize {
        self.devices
            .iter()
            .filter(|device| verdict(device) == verdict_of)
            .count()
    }

    /// How many devices differ, and have no newer cause: what an application of this plan would change.
    pub(super) fn applicable(&self) -> (usize, Vec<&SyncDeviceView>) {
        let differ = self
            .devices
            .iter()
            .filter(|device| verdict(device) == Verdict::Changed);
        let (outdated, now): (Vec<&SyncDeviceView>, Vec<&SyncDeviceView>) =
            differ.partition(|device| device.outdated);
        (now.len(), outdated)
    }

    fn summary(&self) -> Vec<String> {
        let execution = &self.execution;
        let arguments = &execution.task_arguments;
        let what = match arguments["rollback"].as_str() {
            Some(_) if execution.dry_run => "Plan of the way back",
            None if execution.dry_run => "Plan",
            _ => "Synchronization",
        };
        let of = |verdict_of| self.count(verdict_of);
        let changed = if execution.dry_run {
            "would change"
        } else {
            "changed"
        };
        let mut counts = vec![
            format!("{} {changed}", of(Verdict::Changed)),
            format!("{} unchanged", of(Verdict::Unchanged)),
            format!("{} failed", of(Verdict::Failed)),
            format!("{} skipped", of(Verdict::Skipped)),
        ];
        if of(Verdict::Open) > 0 {
            counts.push(format!("{} open", of(Verdict::Open)));
        }
        let time = |time: Option<Timestamp>| time.map(|time| format!("{time:.0}"));
        let halted = execution
            .halt
            .as_ref()
            .map(|halt| format!("nothing more began: {halt}"));
        let text = |key: &str| arguments[key].as_str().map(str::to_owned);
        let source = |key: &str| {
            let id = text(key)?;
            Some(match self.source {
                Some(number) => format!("{number} ({id})"),
                None => id,
            })
        };
        let pairs = [
            ("requested", Some(requested(execution))),
            ("ended", time(execution.ended_at)),
            ("plan", source("plan")),
            ("way back of", source("rollback")),
            ("note", text("note")),
            (
                "settings",
                commits(&self.devices, |device| device.settings_commit.as_ref()),
            ),
            (
                "templates",
                commits(&self.devices, |device| device.templates_commit.as_ref()),
            ),
            (
                "devices",
                Some(format!("{}: {}", self.devices.len(), counts.join(", "))),
            ),
            ("score", Some(format!("{} of 100", self.change_score))),
            ("halted", halted),
        ];
        let head = format!(
            "{what} {} ({}), {}",
            execution.number, execution.id, execution.state
        );
        let approvals = execution
            .approvals
            .iter()
            .map(|approval| ("approved", Some(approved(approval))));
        let fields = pairs
            .into_iter()
            .chain(approvals)
            .filter_map(|(name, value)| Some(format!("  {name:<12}{}", value?)));
        std::iter::once(head).chain(fields).collect()
    }

    fn row(&self, device: &SyncDeviceView) -> Vec<String> {
        let result = match verdict(device) {
            Verdict::Open => "open",
            Verdict::Changed if self.execution.dry_run => "would change",
            Verdict::Changed => "changed",
            Verdict::Unchanged => "unchanged",
            Verdict::Failed => "failed",
            Verdict::Skipped => "skipped",
        };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let said = [device.reason.as_deref(), device.message.as_deref()];
        let mut said: Vec<&str> = said.into_iter().flatten().collect();
        if device.outdated && self.execution.dry_run {
            said.push("has newer causes since");
        }
        vec![
            device.hostname.to_string(),
            result.to_owned(),
            or_dash(device.change_score.map(|score| format!("{score:.1}"))),
            or_dash(device.diff.as_deref().filter(|diff| !diff.is_empty()).map(lines)),
            said.join(": "),
        ]
    }
}

const HEADER: [&str; 5] = ["HOSTNAME", "RESULT", "SCORE", "LINES", "SAID"];

fn requested(execution: &ExecutionView) -> String {
    let by = execution
        .by
        .as_ref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    format!("{:.0}{by}", execution.accepted_at)
}

/// The commit that all devices are rendered from, or how many different ones there are.
fn commits<'a>(
    devices: &'a [SyncDeviceView],
    of: impl Fn(&'a SyncDeviceView) -> Option<&'a CommitId>,
) -> Option<String> {
    let mut commits: Vec<&str> = devices.iter().filter_map(of).map(CommitId::as_str).collect();
    commits.sort_unstable();
    commits.dedup();
    match commits[..] {
        [] => None,
        [only] => Some(only.to_owned()),
        ref several => Some(counted(several.len(), "commit")),
    }
}

/// How many lines are added and removed.
fn lines(diff: &str) -> String {
    let count = |sign: char, header: &str| {
        let lines = diff
            .lines()
            .filter(|line| line.starts_with(sign) && !line.starts_with(header));
        lines.count()
    };
    format!("+{} -{}", count('+', "+++ "), count('-', "--- "))
}

/// The score of a whole run: devices that were skipped or have not ended do not count.
fn change_score(devices: &[SyncDeviceView]) -> u8 {
    let counted = devices.iter().filter_map(|device| match verdict(device) {
        Verdict::Failed => Some(None),
        Verdict::Changed => Some(device.change_score),
        Verdict::Unchanged => Some(Some(device.change_score.unwrap_or(0.0))),
        Verdict::Open | Verdict::Skipped => None,
    });
    total_change_score(counted)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in super::super) fn device(
        hostname: &str,
        state: &str,
        outcome: &Value,
        score: Option<f64>,
    ) -> SyncDeviceView {
        let json = json!({
            "number": 1, "hostname": hostname, "state": state, "outcome": outcome, "reason": null, "message": null,
            "changed": score.is_some_and(|score| score > 0.0), "generation": 2, "outdated": false,
            "settings_commit": "a".repeat(40), "templates_commit": null, "diff": "--- a\n+++ b\n+x\n-y\n-z", "hash": null,
            "change_score": score,
        });
        serde_json::from_value(json).unwrap()
    }

    fn execution(dry_run: bool) -> ExecutionView {
        let json = json!({
            "number": 12, "id": "0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70", "task": "sync", "task_number": 0, "provider": "sync",
            "state": "PARTIAL_FAILED", "reason": null, "dry_run": dry_run, "paused": false, "halt": null, "in_canary": false, "elements": 3,
            "done": 2, "failed": 1, "skipped": 0, "accepted_at": "2026-02-03T04:05:06Z", "started_at": null,
            "ended_at": "2026-02-03T04:06:06Z", "deadline_at": null, "by": "anna", "execute_on_type": "DEVICE", "run_on": "DEVICE",
            "task_arguments": {"note": "CHG-7"}, "arguments": null, "limits": {}, "relaunch_of": null,
            "approvals": [{"by": "berta", "at": "2026-02-03T05:00:00Z", "expires_at": "2026-02-03T13:00:00Z", "note": "looks good"}],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_summary_has_what_a_change_ticket_asks_for() {
        let devices = vec![
            device("sw1", "SUCCESSFUL", &json!("done"), Some(3.4)),
            device("sw2", "SUCCESSFUL", &json!("done"), Some(0.0)),
            device("sw3", "FAILED", &json!("failed"), None),
        ];
        let report = Report {
            execution: execution(true),
            source: None,
            change_score: change_score(&devices),
            devices,
        };
        let expected = [
            "Plan 12 (0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70), PARTIAL_FAILED",
            "  requested   2026-02-03T04:05:06Z by anna",
            "  ended       2026-02-03T04:06:06Z",
            "  note        CHG-7",
            "  settings    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "  devices     3: 1 would change, 1 unchanged, 1 failed, 0 skipped",
            "  score       100 of 100",
            "  approved    by berta at 2026-02-03T05:00:00Z, until 2026-02-03T13:00:00Z: looks good",
        ];
        assert_eq!(report.summary(), expected);
        assert_eq!(
            report.row(&report.devices[0]),
            ["sw1", "would change", "3.4", "+1 -2", ""]
        );
        let (applicable, outdated) = report.applicable();
        assert_eq!((applicable, outdated.len()), (1, 0));
    }

    #[test]
    fn the_score_of_a_run_is_that_of_its_largest_change() {
        let done = |score| device("sw", "SUCCESSFUL", &json!("done"), Some(score));
        let failed = || device("sw", "FAILED", &json!("failed"), None);
        for (devices, expected) in [
            (vec![], 0),
            (vec![done(0.0)], 1),
            (vec![done(3.4), done(7.5)], 8),
            (vec![done(812.0)], 100),
            (vec![done(1.0), failed()], 100),
        ] {
            assert_eq!(change_score(&devices), expected, "{devices:?}");
        }
    }
}
