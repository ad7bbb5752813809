//! Repositories whose remotes were not asked for long. Pure.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_protocol::rest::RepositoryView;

use super::output_line::{Report, Status};
use super::span;

/// Adds the repositories to a report whose remote no worker asked within this time: a warning, with a line for each.
pub(super) fn add(report: &mut Report, repositories: &[RepositoryView], now: Timestamp, most: Duration) {
    let late: Vec<String> = repositories
        .iter()
        .filter_map(|repository| late(repository, now, most))
        .collect();
    if late.is_empty() {
        return;
    }
    if report.status == Status::Ok {
        report.status = Status::Warning;
    }
    let names = if late.len() == 1 {
        "repository"
    } else {
        "repositories"
    };
    report.summary = format!("{}, {} {names} not asked in time", report.summary, late.len());
    report.details.extend(late);
}

fn late(repository: &RepositoryView, now: Timestamp, most: Duration) -> Option<String> {
    let name = &repository.name;
    let failure = repository
        .failure
        .as_ref()
        .map(|failure| format!(": {failure}"))
        .unwrap_or_default();
    let Some(asked_at) = repository.asked_at else {
        return Some(format!(
            "repository {name}: no worker has asked its remote yet{failure}"
        ));
    };
    let age = span::between(asked_at, now);
    (age >= most.as_secs()).then(|| {
        format!(
            "repository {name}: its remote was last asked {} ago{failure}",
            span::shown(age)
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_repository_that_nobody_asks_is_a_warning() {
        let now: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
        let repository = |name: &str, asked_at: Option<&str>, failure: Option<&str>| -> RepositoryView {
            let json = json!({
                "name": name, "branch": "main", "accepted": null, "accepted_at": null, "seen": null, "seen_at": null, "problem": null,
                "asked_at": asked_at, "failure": failure,
            });
            serde_json::from_value(json).unwrap()
        };
        let report = |status| Report {
            status,
            summary: "0 of 3".to_owned(),
            performance: Vec::new(),
            details: Vec::new(),
            measured: None,
        };
        let half = Duration::from_mins(30);
        let fresh = repository("settings", Some("2026-02-03T04:00:00Z"), None);
        let mut fine = report(Status::Ok);
        add(&mut fine, std::slice::from_ref(&fresh), now, half);
        assert_eq!((fine.status, fine.details.len()), (Status::Ok, 0));

        let old = repository("templates", Some("2026-02-03T03:05:06Z"), Some("no route"));
        let never = repository("other", None, None);
        let mut late = report(Status::Critical);
        add(&mut late, &[fresh, old, never], now, half);
        assert_eq!(late.status, Status::Critical);
        assert_eq!(late.summary, "0 of 3, 2 repositories not asked in time");
        assert_eq!(
            late.details,
            [
                "repository templates: its remote was last asked 1h ago: no route",
                "repository other: no worker has asked its remote yet",
            ]
        );
    }
}
