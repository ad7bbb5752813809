//! The checks of ages: what the console measured becomes a report.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use lockstep_protocol::rest::{AgeOf, AgedDevice, FleetAges};
use lockstep_protocol::{DeviceType, counted};

use super::output_line::{Performance, Report, Status};
use super::{repositories, span};
use crate::cli::client::Client;
use crate::cli::{Global, UsageError};

/// How many devices are named.
const NAMED: usize = 10;

/// Whose ages count, and how long the answer may take.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only devices of this type, such as ACCESS
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<DeviceType>,
    /// Only members of this group
    #[arg(long)]
    group: Option<String>,
    /// How long the console may take to answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span::parse)]
    timeout: Duration,
}

impl Filter {
    /// The filters as a text; none without any.
    fn shown(&self) -> Option<String> {
        let device_type = self.device_type.iter().map(|kind| format!("--type {kind}"));
        let group = self.group.iter().map(|group| format!("--group {group}"));
        let shown: Vec<String> = device_type.chain(group).collect();
        (!shown.is_empty()).then(|| shown.join(" "))
    }
}

/// A check of the ages of devices.
#[derive(Debug)]
pub(super) struct AgeCheck {
    pub(super) of: AgeOf,
    pub(super) warning: Duration,
    pub(super) critical: Duration,
    /// How long the remotes of repositories may not have been asked. `None` if that is not checked.
    pub(super) repositories: Option<Duration>,
    pub(super) filter: Filter,
}

impl AgeCheck {
    pub(super) async fn run(&self, global: &Global) -> anyhow::Result<Report> {
        if self.warning > self.critical {
            let problem = "--warning is larger than --critical; a warning comes first".to_owned();
            return Err(UsageError(problem).into());
        }
        let client = Client::new(global)?;
        let mut query = vec![
            ("of", self.of.to_string()),
            ("warning", self.warning.as_secs().to_string()),
            ("critical", self.critical.as_secs().to_string()),
            ("limit", NAMED.to_string()),
        ];
        let device_type = self.filter.device_type.as_ref();
        query.extend(device_type.map(|kind| ("device_type", kind.to_string())));
        query.extend(self.filter.group.clone().map(|group| ("group", group)));
        let answer = tokio::time::timeout(self.filter.timeout, client.fleet_ages(&query)).await;
        let Ok(ages) = answer else {
            let seconds = self.filter.timeout.as_secs_f64();
            bail!("the console did not answer within {seconds} s; raise --timeout, or check its /readyz");
        };
        let ages = ages?;
        let mut report = self.report(&ages)?;
        if let Some(most) = self.repositories {
            repositories::add(&mut report, &client.repositories().await?, ages.at, most);
        }
        Ok(report)
    }

    /// Pure.
    ///
    /// # Errors
    /// If there are filters, and no device matches them: a misspelt group must not look healthy.
    fn report(&self, ages: &FleetAges) -> anyhow::Result<Report> {
        if let Some(filters) = self.filter.shown().filter(|_| ages.matching == 0) {
            bail!("no device matches {filters}; check the spelling");
        }
        let has_expired = self.of == AgeOf::Unmanaged && ages.expired > 0;
        let status = if ages.over_critical > 0 {
            Status::Critical
        } else if ages.over_warning > 0 || has_expired {
            Status::Warning
        } else {
            Status::Ok
        };
        Ok(Report {
            status,
            summary: self.summary(ages),
            performance: self.performance(ages),
            details: self.details(ages),
            measured: Some(ages.clone()),
        })
    }

    fn summary(&self, ages: &FleetAges) -> String {
        let mut parts = vec![match self.of {
            AgeOf::Unsynchronized => format!(
                "{} of {} MANAGED devices unsynchronized",
                ages.aged, ages.in_state
            ),
            AgeOf::Unchecked => format!("{} of {} MANAGED devices synchronized", ages.aged, ages.in_state),
            AgeOf::Unmanaged => format!(
                "{} of {} UNMANAGED",
                ages.in_state,
                counted(ages.matching, "device")
            ),
        }];
        for (count, threshold) in [
            (ages.over_critical, self.critical),
            (ages.over_warning, self.warning),
        ] {
            if count > 0 {
                let what = if self.of == AgeOf::Unchecked {
                    " not compared"
                } else {
                    ""
                };
                parts.push(format!(
                    "{count}{what} for {} or longer",
                    span::shown(threshold.as_secs())
                ));
            }
        }
        if let Some(oldest) = ages.oldest.first() {
            parts.push(format!(
                "the oldest is {} with {}",
                oldest.hostname,
                span::shown(oldest.age_seconds.unwrap_or(0))
            ));
        }
        if let Some(first) = ages
            .longest_expired
            .first()
            .filter(|_| self.of == AgeOf::Unmanaged)
        {
            let more = match ages.expired {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            parts.push(format!("the state should have ended of {}{more}", first.hostname));
        }
        parts.join(", ")
    }

    fn performance(&self, ages: &FleetAges) -> Vec<Performance> {
        let count = |label, value, most| Performance {
            label,
            value,
            unit: "",
            thresholds: None,
            most: Some(most),
        };
        let oldest = Performance {
            label: "oldest",
            value: ages
                .oldest
                .first()
                .and_then(|oldest| oldest.age_seconds)
                .unwrap_or(0),
            unit: "s",
            thresholds: Some([self.warning.as_secs(), self.critical.as_secs()]),
            most: None,
        };
        let all = match self.of {
            AgeOf::Unsynchronized | AgeOf::Unchecked => ages.in_state,
            AgeOf::Unmanaged => ages.matching,
        };
        let mut performance = vec![
            oldest,
            count(self.of.as_str(), ages.aged, all),
            count("over_warning", ages.over_warning, all),
            count("over_critical", ages.over_critical, all),
        ];
        if self.of == AgeOf::Unmanaged {
            performance.push(count("expired", ages.expired, ages.matching));
        }
        performance
    }

    fn details(&self, ages: &FleetAges) -> Vec<String> {
        let mut lines: Vec<String> = ages
            .oldest
            .iter()
            .map(|device| self.detail(device, ages))
            .collect();
        lines.extend(more(ages.over_warning, &ages.oldest, "over the thresholds"));
        if self.of == AgeOf::Unmanaged {
            let listed = |device: &&AgedDevice| ages.oldest.iter().all(|old| old.hostname != device.hostname);
            let expired = ages.longest_expired.iter().filter(listed);
            lines.extend(expired.map(|device| self.detail(device, ages)));
            lines.extend(more(
                ages.expired,
                &ages.longest_expired,
                "that should have ended",
            ));
        }
        lines
    }

    /// One device: its age, then its causes, or its note and end.
    fn detail(&self, device: &AgedDevice, ages: &FleetAges) -> String {
        let mut parts = Vec::new();
        match (self.of, device.age_seconds.map(span::shown)) {
            (AgeOf::Unsynchronized, Some(age)) => parts.push(format!("unsynchronized for {age}")),
            (AgeOf::Unchecked, Some(age)) => parts.push(format!("not compared for {age}")),
            (AgeOf::Unmanaged, Some(age)) => parts.push(format!("{} for {age}", device.state)),
            (_, None) => parts.push(device.state.to_string()),
        }
        if self.of == AgeOf::Unsynchronized {
            parts.push(match device.causes.as_slice() {
                // Those of before a restored backup, for example.
                [] => "its causes are not known".to_owned(),
                causes => format!("causes: {}", causes.join(", ")),
            });
        }
        if let Some(until) = device.until {
            let ended = if until <= ages.at {
                format!(", passed {} ago", span::shown(span::between(until, ages.at)))
            } else {
                String::new()
            };
            parts.push(format!("until {until:.0}{ended}"));
        }
        parts.extend(device.note.as_ref().map(|note| format!("note: {note}")));
        format!("{}: {}", device.hostname, parts.join("; "))
    }
}

/// How many devices a list leaves out.
fn more(all: u64, listed: &[AgedDevice], what: &str) -> Option<String> {
    let more = all.saturating_sub(listed.len() as u64);
    (more > 0).then(|| format!("… and {more} more {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(of: AgeOf) -> AgeCheck {
        AgeCheck {
            of,
            warning: Duration::from_mins(30),
            critical: Duration::from_hours(1),
            repositories: None,
            filter: Filter {
                device_type: None,
                group: None,
                timeout: Duration::from_secs(10),
            },
        }
    }

    fn device(name: &str, state: &str, age: Option<u64>, until: Option<&str>) -> Value {
        json!({
            "hostname": name, "device_type": "ACCESS", "state": state, "since": null, "age_seconds": age,
            "causes": ["refresh_settings", "interface_updated"], "note": "a|b", "until": until,
        })
    }

    fn ages(counts: [u64; 5], oldest: &[Value], expired: &[Value]) -> FleetAges {
        let [matching, in_state, aged, over_warning, over_critical] = counts;
        let measured = json!({
            "at": "2026-02-03T04:05:06Z", "matching": matching, "in_state": in_state, "aged": aged, "over_warning": over_warning,
            "over_critical": over_critical, "oldest": oldest, "expired": expired.len(), "longest_expired": expired,
        });
        serde_json::from_value(measured).unwrap()
    }

    #[test]
    fn the_state_is_that_of_the_worst_device() {
        let gone = device("sw9", "INIT", None, Some("2026-02-03T03:05:06Z"));
        for (of, counts, expired, expected) in [
            (AgeOf::Unsynchronized, [9, 8, 0, 0, 0], vec![], Status::Ok),
            (AgeOf::Unsynchronized, [9, 8, 3, 0, 0], vec![], Status::Ok),
            (
                AgeOf::Unsynchronized,
                [9, 8, 3, 0, 0],
                vec![gone.clone()],
                Status::Ok,
            ),
            (AgeOf::Unsynchronized, [9, 8, 3, 2, 0], vec![], Status::Warning),
            (AgeOf::Unsynchronized, [9, 8, 3, 2, 1], vec![], Status::Critical),
            (AgeOf::Unmanaged, [9, 1, 1, 0, 0], vec![], Status::Ok),
            (
                AgeOf::Unmanaged,
                [9, 1, 1, 0, 0],
                vec![gone.clone()],
                Status::Warning,
            ),
            (
                AgeOf::Unmanaged,
                [9, 1, 1, 1, 1],
                vec![gone.clone()],
                Status::Critical,
            ),
            (AgeOf::Unmanaged, [0, 0, 0, 0, 0], vec![], Status::Ok),
        ] {
            let report = check(of).report(&ages(counts, &[], &expired)).unwrap();
            assert_eq!(report.status, expected, "{of} {counts:?}");
        }
    }

    #[test]
    fn the_oldest_unsynchronized_devices_are_named_with_their_causes() {
        let oldest = [
            device("sw1", "MANAGED", Some(7500), None),
            device("sw2", "MANAGED", Some(1900), None),
        ];
        let report = check(AgeOf::Unsynchronized)
            .report(&ages([9, 8, 4, 3, 1], &oldest, &[]))
            .unwrap();
        let expected = [
            "SYNC-AGE CRITICAL - 4 of 8 MANAGED devices unsynchronized, 1 for 1h or longer, 3 for 30m or longer, the oldest is sw1 with \
             2h 5m | oldest=7500s;1800;3600;0 unsynchronized=4;;;0;8 over_warning=3;;;0;8 over_critical=1;;;0;8",
            "sw1: unsynchronized for 2h 5m; causes: refresh_settings, interface_updated; note: a/b",
            "sw2: unsynchronized for 31m 40s; causes: refresh_settings, interface_updated; note: a/b",
            "… and 1 more over the thresholds",
        ];
        assert_eq!(report.lines("SYNC-AGE"), expected);
    }

    #[test]
    fn an_end_that_has_passed_is_named_with_its_device() {
        let oldest = [device(
            "sw1",
            "UNMANAGED",
            Some(7500),
            Some("2026-02-03T03:04:06Z"),
        )];
        let expired = [
            oldest[0].clone(),
            device("sw9", "INIT", None, Some("2026-02-03T04:00:06Z")),
        ];
        let mut check = check(AgeOf::Unmanaged);
        (check.warning, check.critical) = (Duration::from_hours(24), Duration::from_hours(48));
        let report = check.report(&ages([9, 1, 1, 0, 0], &oldest, &expired)).unwrap();
        let expected = [
            "UNMANAGED-AGE WARNING - 1 of 9 devices UNMANAGED, the oldest is sw1 with 2h 5m, the state should have ended of sw1 and 1 \
             more | oldest=7500s;86400;172800;0 unmanaged=1;;;0;9 over_warning=0;;;0;9 over_critical=0;;;0;9 expired=2;;;0;9",
            "sw1: UNMANAGED for 2h 5m; until 2026-02-03T03:04:06Z, passed 1h 1m ago; note: a/b",
            "sw9: INIT; until 2026-02-03T04:00:06Z, passed 5m ago; note: a/b",
        ];
        assert_eq!(report.lines("UNMANAGED-AGE"), expected);
    }

    #[test]
    fn filters_that_no_device_matches_are_no_success() {
        let mut check = check(AgeOf::Unsynchronized);
        check.filter.group = Some("campsu".to_owned());
        let error = check.report(&ages([0; 5], &[], &[])).unwrap_err().to_string();
        assert!(error.contains("no device matches --group campsu"), "{error}");
        assert!(check.report(&ages([1, 0, 0, 0, 0], &[], &[])).is_ok());
    }
}
