use std::collections::BTreeSet;

use lockstep_intent::fleet::{Affected, DeviceTypes, select};
use lockstep_intent::settings::GROUPS_FILE;
use lockstep_intent::{ChangeImpact, IntentProblem};
use lockstep_protocol::{DeviceType, GroupName, Hostname, counted};
use serde::Serialize;

use super::fleet::Fleet;
use super::rendered::Rendered;
use crate::cli::output;

/// The result of the command. Scripts rely on the names of its fields.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Sorted by hostname. Without an inventory: the hostnames in the change.
    pub(super) devices: Vec<Hostname>,
    /// Types of which all devices are affected.
    device_types: BTreeSet<DeviceType>,
    platforms: BTreeSet<(DeviceType, String)>,
    unknown_hostnames: BTreeSet<Hostname>,
    groups: BTreeSet<GroupName>,
    problems: Vec<Problem>,
    /// Which configurations differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rendered: Option<Rendered>,
}

/// A problem of the repository, or a warning about a path that affects no device.
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

    /// A warning about the tree: workers accept the change all the same.
    fn of_warning(problem: &IntentProblem) -> Self {
        Self {
            text: format!("warning: {problem}"),
            ..Self::of(problem)
        }
    }

    /// A warning: workers accept the change all the same.
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
    /// The report of a change that workers would accept.
    pub(super) fn of(impact: &ChangeImpact, fleet: Option<&Fleet>, types: &DeviceTypes) -> Self {
        let ChangeImpact {
            affected,
            groups,
            warnings,
            paths: _,
        } = impact;
        let mut report = Self {
            device_types: affected.device_types.clone(),
            platforms: platforms(affected, types),
            groups: affected.groups.clone(),
            problems: warnings
                .iter()
                .map(Problem::of_warning)
                .chain(misnamed(affected))
                .collect(),
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
            let file = format!("groups/{group}");
            if report.problems.iter().any(|problem| problem.file == file) {
                continue;
            }
            let reason = format!("the group is not in {GROUPS_FILE}, or --settings is missing");
            report.problems.push(Problem::warning(file, &reason));
        }
        if let Some(first) = selection.undecided.first() {
            let reason = format!(
                "cannot determine the primary group of {}, listed to be safe, such as {first}: a regular expression takes too many steps",
                counted(selection.undecided.len(), "device")
            );
            report
                .problems
                .push(Problem::warning(GROUPS_FILE.to_owned(), &reason));
        }
        report
    }

    /// The report of a change that workers would not accept.
    pub(super) fn of_problems(problems: &[IntentProblem]) -> Self {
        Self {
            problems: problems.iter().map(Problem::of).collect(),
            ..Self::default()
        }
    }

    /// Prints the devices as a table; without an inventory, the types, platforms, groups and hostnames.
    pub(super) fn show(&self, fleet: Option<&Fleet>) {
        match fleet {
            Some(fleet) => {
                if let Some(rendered) = &self.rendered {
                    rendered.show(&self.rows(fleet));
                } else {
                    output::lines(
                        &output::table(["HOSTNAME", "TYPE", "PLATFORM"], &self.rows(fleet)),
                        None,
                    );
                }
                let (count, all) = (self.devices.len(), fleet.len());
                let all = counted(all, "device");
                output::note(&format!("{count} of {all} would become unsynchronized"));
            }
            None => {
                output::lines(&output::table(["KIND", "NAME"], &self.names()), None);
            }
        }
        for hostname in &self.unknown_hostnames {
            output::note(&format!(
                "warning: devices/{hostname}: no device has this hostname"
            ));
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
        let row = |kind: &str, name: String| [kind.to_owned(), name];
        let types = self.device_types.iter().map(|kind| row("type", kind.to_string()));
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

    /// Prints the problems, one on each line, in the format of compilers.
    pub(super) fn show_problems(&self) {
        for problem in &self.problems {
            output::note(&problem.text);
        }
    }
}

/// Each platform with its device types; with all types where they are unknown.
fn platforms(affected: &Affected, types: &DeviceTypes) -> BTreeSet<(DeviceType, String)> {
    let of_types = affected.platforms.iter().cloned();
    let whole = affected.whole_platforms.iter().flat_map(|platform| {
        let rules = types.rules().iter();
        rules.map(|rule| (rule.device_type.clone(), platform.clone()))
    });
    of_types.chain(whole).collect()
}

fn misnamed(affected: &Affected) -> impl Iterator<Item = Problem> + '_ {
    let problem = |path: &String| Problem::warning(path.clone(), "affects no device: the name is not valid");
    affected.misnamed.iter().map(problem)
}
