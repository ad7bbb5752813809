//! Checks the freeze windows: a window for a group that does not exist freezes nothing.

use std::collections::BTreeSet;

use lockstep_protocol::GroupName;

use super::finding::Findings;
use crate::config::Config;
use crate::roles;

const CHECK: &str = "freeze windows";

pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    let windows = config.sync.windows.all();
    let named: BTreeSet<&String> = windows.iter().flat_map(|window| &window.groups).collect();
    if named.is_empty() {
        return;
    }
    let Ok(fleet) = roles::seen_fleet(config) else {
        return findings.unknown(CHECK, "the store cannot be read", "fix the store first");
    };
    let mut unknown = BTreeSet::new();
    for name in named {
        let Ok(group) = GroupName::try_from(name.clone()) else {
            unknown.insert(name.as_str());
            continue;
        };
        match fleet.group(&group).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                unknown.insert(name.as_str());
            }
            Err(error) => {
                let error = anyhow::Error::new(error);
                return findings.unknown(CHECK, format!("{error:#}"), "fix the store first");
            }
        }
    }
    let used = windows
        .iter()
        .map(|window| (window.name.as_str(), window.groups.as_slice()));
    judge(used, &unknown, findings);
}

/// Names each window with groups that nobody knows. Pure.
fn judge<'a>(
    windows: impl Iterator<Item = (&'a str, &'a [String])>,
    unknown: &BTreeSet<&str>,
    findings: &mut Findings,
) {
    let mut all_known = true;
    for (window, groups) in windows {
        for group in groups.iter().filter(|group| unknown.contains(group.as_str())) {
            all_known = false;
            findings.warning(
                CHECK,
                format!(
                    "{window} is for the group {group}, which does not exist, so it concerns no device by it"
                ),
                format!("correct freeze.{window}.groups, or define the group in groups.yml of the settings"),
            );
        }
    }
    if all_known {
        findings.ok(CHECK, "their groups exist");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::State;

    #[test]
    fn a_window_for_a_group_that_does_not_exist_is_a_warning() {
        let groups = ["core".to_owned(), "edgs".to_owned()];
        let judged = |unknown: &[&str]| {
            let mut findings = Findings::default();
            let windows = [("nights", &groups[..]), ("year-end", &[])];
            judge(
                windows.into_iter(),
                &unknown.iter().copied().collect(),
                &mut findings,
            );
            serde_json::to_value(&findings).unwrap()
        };
        let found = judged(&["edgs"]);
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        assert_eq!(
            found[0]["state"],
            serde_json::to_value(State::Warning).unwrap(),
            "{found}"
        );
        let said = found[0]["said"].as_str().unwrap();
        assert!(said.contains("nights") && said.contains("edgs"), "{said}");
        let found = judged(&[]);
        assert_eq!(
            found[0]["state"],
            serde_json::to_value(State::Ok).unwrap(),
            "{found}"
        );
    }
}
