//! Builds the results of a refresh, and the device selector of its change.

use lockstep_protocol::results::{EventApplied, IgnoredReason, MAX_DEVICES, Outcome, Scope};
use lockstep_protocol::{Code, CommitId, WorkResult};

use crate::handlers::Rejection;
use lockstep_intent::IntentProblem;
use lockstep_intent::fleet::Affected;
use lockstep_store::{DevicePredicate, DeviceSelector, Flagged};

/// The maximum number of problems in a result. Each has at most some thousand characters, so a result, a row and a log line with all
/// of them have less than 100 KiB.
const MAX_PROBLEMS: usize = 20;

/// The result if there was nothing to do.
pub(super) fn ignored(reason: IgnoredReason, commit: Option<CommitId>) -> WorkResult {
    WorkResult::EventApplied(EventApplied {
        outcome: Outcome::Ignored,
        reason: Some(reason),
        scope: Scope::None,
        flipped: 0,
        devices: Vec::new(),
        truncated: false,
        unknown_hostnames: Vec::new(),
        commit,
        rejected: Vec::new(),
        marked: Vec::new(),
        warnings: Vec::new(),
    })
}

/// The result of a new accepted commit, for which these devices were flagged.
pub(super) fn applied(
    affected: &Affected,
    flagged: &Flagged,
    commit: CommitId,
    warnings: Vec<String>,
) -> WorkResult {
    let unknown = flagged.unknown_hostnames.iter().take(MAX_DEVICES).cloned();
    WorkResult::EventApplied(EventApplied {
        outcome: Outcome::Applied,
        reason: None,
        scope: scope(affected, flagged),
        flipped: flagged.flipped,
        devices: flagged.devices.clone(),
        truncated: flagged.concerned > flagged.devices.len() as u64,
        unknown_hostnames: unknown.collect(),
        commit: Some(commit),
        rejected: Vec::new(),
        marked: Vec::new(),
        warnings,
    })
}

/// Problems of an invalid tip, or warnings about an accepted commit, one text for each.
pub(super) fn listed(problems: &[IntentProblem]) -> Vec<String> {
    let listed = problems.iter().take(MAX_PROBLEMS);
    let mut listed: Vec<String> = listed.map(ToString::to_string).collect();
    listed.extend(more(problems.len()));
    listed
}

/// How many of so many problems are not listed.
fn more(all: usize) -> Option<String> {
    let more = all.saturating_sub(MAX_PROBLEMS);
    (more > 0).then(|| format!("… and {more} more"))
}

fn scope(affected: &Affected, flagged: &Flagged) -> Scope {
    let by_type = !affected.device_types.is_empty()
        || !affected.platforms.is_empty()
        || !affected.whole_platforms.is_empty();
    match flagged.concerned {
        _ if by_type => Scope::DeviceTypes,
        0 => Scope::None,
        1 => Scope::Device,
        _ => Scope::Devices,
    }
}

/// The rejection of an invalid tip. Its place is that of the first problem.
pub(super) fn invalid_tip(problems: &[IntentProblem], tip: &CommitId) -> Rejection {
    let reason = format!(
        "commit {tip} is not accepted; sync flags do not change until a commit fixes these problems:\n{}",
        listed(problems).join("\n")
    );
    let place = problems.first().map_or_else(|| "$".to_owned(), place);
    Rejection::new(Code::InvalidIntent, place, reason)
}

fn place(problem: &IntentProblem) -> String {
    let numbers = [problem.line, problem.column].into_iter().flatten();
    numbers.fold(problem.file.clone(), |place, number| format!("{place}:{number}"))
}

/// The device selector for a change. `members` matches the devices whose primary group is affected.
pub(super) fn selector(affected: &Affected, members: Option<DevicePredicate>) -> DeviceSelector {
    DeviceSelector {
        device_types: affected.device_types.clone(),
        platforms: affected.platforms.clone(),
        whole_platforms: affected.whole_platforms.clone(),
        hostnames: affected.hostnames.clone(),
        predicate: members,
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{DeviceType, Hostname};

    use super::*;

    fn commit() -> CommitId {
        "7".repeat(40).parse().unwrap()
    }

    #[test]
    fn the_scope_tells_how_devices_were_selected() {
        let hostname: Hostname = "sw1".parse().unwrap();
        let by_name = Affected {
            hostnames: [hostname.clone()].into(),
            ..Affected::default()
        };
        let by_type = Affected {
            device_types: [DeviceType::ACCESS].into(),
            ..Affected::default()
        };
        let found = |concerned| Flagged {
            concerned,
            devices: vec![hostname.clone(); usize::try_from(concerned).unwrap().min(2)],
            ..Flagged::default()
        };
        let table = [
            (&by_name, 0, Scope::None, false),
            (&by_name, 1, Scope::Device, false),
            (&by_name, 2, Scope::Devices, false),
            (&by_type, 0, Scope::DeviceTypes, false),
            (&by_type, 5000, Scope::DeviceTypes, true),
        ];
        for (affected, concerned, scope, truncated) in table {
            let WorkResult::EventApplied(result) = applied(affected, &found(concerned), commit(), Vec::new())
            else {
                panic!("not applied")
            };
            assert_eq!(
                (result.scope, result.truncated),
                (scope, truncated),
                "{concerned}"
            );
            assert_eq!(result.commit, Some(commit()));
        }
    }

    #[test]
    fn problems_are_listed_with_their_places_up_to_the_maximum() {
        let problem = |line| IntentProblem {
            file: "devices/sw1/base.yml".to_owned(),
            line: Some(line),
            column: Some(3),
            reason: "no".to_owned(),
        };
        let rejection = invalid_tip(&[problem(7)], &commit());
        assert_eq!(rejection.code, Code::InvalidIntent);
        assert_eq!(rejection.place, "devices/sw1/base.yml:7:3");
        assert!(
            rejection.reason.ends_with("\ndevices/sw1/base.yml:7:3: no"),
            "{rejection}"
        );
        let long = IntentProblem::of_tree("ä".repeat(9_000_000));
        let rejection = invalid_tip(&vec![long; 1000], &commit());
        assert!(rejection.reason.len() + rejection.place.len() < 100 * 1024);
        let many: Vec<IntentProblem> = (1..=30).map(problem).collect();
        let rejection = invalid_tip(&many, &commit());
        assert!(rejection.reason.ends_with("… and 10 more"), "{rejection}");
    }
}
