use std::collections::BTreeSet;

use lockstep_intent::fleet::{Affected, select};
use lockstep_intent::settings::GROUPS_FILE;
use lockstep_intent::{ChangeImpact, IntentProblem};
use lockstep_protocol::{DeviceType, GroupName, Hostname};
use serde::Serialize;

use super::fleet::Fleet;
use crate::cli::{output, table};

/// Whom a change concerns, as it is printed. Scripts rely on the names.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Sorted. Without an inventory: those that the change names.
    pub(super) devices: Vec<Hostname>,
    /// Sorted by name.
    device_types: BTreeSet<&'static str>,
    platforms: BTreeSet<(&'static str, String)>,
    unknown_hostnames: BTreeSet<Hostname>,
    groups: BTreeSet<GroupName>,
    problems: Vec<Problem>,
}

/// Something that is wrong, or that concerns nobody.
#[derive(Debug, Serialize)]
struct Problem {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    reason: String,
    #[serde(skip)]
    text: String,
}

impl Problem {
    fn of(problem: &IntentProblem) -> Self {
        Self {
            file: problem.file.clone(),
            line: problem.line,
            column: problem.column,
            reason: problem.reason.clone(),
            text: problem.to_string(),
        }
    }

    /// One of those that do not break the change.
    fn warning(file: String, reason: &str) -> Self {
        Self {
            text: format!("warning: {file}: {reason}"),
            file,
            line: None,
            column: None,
            reason: reason.to_owned(),
        }
    }
}

impl Report {
    /// Of a change that would be accepted.
    pub(super) fn of(impact: &ChangeImpact, fleet: Option<&Fleet>) -> Self {
        let ChangeImpact { affected, groups } = impact;
        let mut report = Self {
            device_types: affected.device_types.iter().map(|kind| kind.as_str()).collect(),
            platforms: platforms(affected),
            groups: affected.groups.clone(),
            problems: misnamed(affected),
            ..Self::default()
        };
        let Some(fleet) = fleet else {
            report.devices = affected.hostnames.iter().cloned().collect();
            return report;
        };
        let selection = select(affected, groups, fleet.candidates());
        report.devices = selection.devices.into_iter().cloned().collect();
        report.unknown_hostnames = selection.unknown_hostnames;
        for group in selection.unknown_groups {
            let reason = format!("no such group in {GROUPS_FILE}, as far as it is known here");
            report
                .problems
                .push(Problem::warning(format!("groups/{group}"), &reason));
        }
        for hostname in selection.undecided {
            let reason =
                format!("the primary group of {hostname} cannot be told: a regex takes too many steps");
            report
                .problems
                .push(Problem::warning(GROUPS_FILE.to_owned(), &reason));
        }
        report
    }

    /// Of a change that would not be accepted.
    pub(super) fn broken(problems: &[IntentProblem]) -> Self {
        Self {
            problems: problems.iter().map(Problem::of).collect(),
            ..Self::default()
        }
    }

    /// Prints the devices as a table; without an inventory, what the change names.
    pub(super) fn show(&self, fleet: Option<&Fleet>) {
        match fleet {
            Some(fleet) => {
                for line in table::lines(["HOSTNAME", "TYPE", "PLATFORM"], &self.rows(fleet)) {
                    output::line(&line);
                }
                let (count, all) = (self.devices.len(), fleet.len());
                output::note(&format!("{count} of {all} devices would be un-synchronized"));
            }
            None => {
                for line in table::lines(["WHAT", "NAME"], &self.names()) {
                    output::line(&line);
                }
            }
        }
        for hostname in &self.unknown_hostnames {
            output::note(&format!("warning: devices/{hostname}: no device has this name"));
        }
    }

    fn rows(&self, fleet: &Fleet) -> Vec<[String; 3]> {
        let row = |hostname: &Hostname| {
            let device = fleet.get(hostname);
            [
                hostname.to_string(),
                device.map(|device| device.kind.to_string()).unwrap_or_default(),
                device
                    .and_then(|device| device.platform.clone())
                    .unwrap_or_default(),
            ]
        };
        self.devices.iter().map(row).collect()
    }

    fn names(&self) -> Vec<[String; 2]> {
        let row = |what: &str, name: String| [what.to_owned(), name];
        let types = self
            .device_types
            .iter()
            .map(|kind| row("type", (*kind).to_owned()));
        let platforms = self
            .platforms
            .iter()
            .map(|(kind, platform)| row("platform", format!("{kind} {platform}")));
        let groups = self.groups.iter().map(|group| row("group", group.to_string()));
        let devices = self
            .devices
            .iter()
            .map(|hostname| row("device", hostname.to_string()));
        types.chain(platforms).chain(groups).chain(devices).collect()
    }

    /// Says what is wrong, a line each, as compilers do.
    pub(super) fn tell_problems(&self) {
        for problem in &self.problems {
            output::note(&problem.text);
        }
    }
}

/// Each platform with its types; one whose types nobody knows with all there are.
fn platforms(affected: &Affected) -> BTreeSet<(&'static str, String)> {
    let typed = affected
        .platforms
        .iter()
        .map(|(kind, platform)| (kind.as_str(), platform.clone()));
    let whole = affected.whole_platforms.iter().flat_map(|platform| {
        DeviceType::ALL
            .iter()
            .map(|kind| (kind.as_str(), platform.clone()))
    });
    typed.chain(whole).collect()
}

fn misnamed(affected: &Affected) -> Vec<Problem> {
    let problem =
        |path: &String| Problem::warning(path.clone(), "concerns nobody: nothing can have this name");
    affected.misnamed.iter().map(problem).collect()
}
