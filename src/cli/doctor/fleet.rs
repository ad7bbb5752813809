//! Checks what an alarm would say about the devices in the store: old sync flags, states that should have ended, and undeclared types.

use std::collections::BTreeMap;
use std::time::Duration;

use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::rest::AgeOf;
use lockstep_protocol::{DeviceType, counted};
use lockstep_store::{AgeQuery, AgedDevice, Ages, DeviceCount, StoreError};

use super::finding::Findings;
use crate::config::Config;
use crate::roles;

const FLAGS: &str = "sync flags";
const STATES: &str = "states";
const TYPES: &str = "device types";
const VERDICTS: &str = "verdicts";

/// The age of a flag from which on the alarm fires: that of `docker/prometheus/alerts.yml` and of `lockstep check sync-age`.
const ALARM: Duration = Duration::from_hours(1);

/// The age of a comparison from which on the alarm fires: that of `docker/prometheus/alerts.yml` and of `lockstep check verdict-age`.
const FROZEN: Duration = Duration::from_hours(7 * 24);

/// How many devices are named.
const NAMED: u32 = 10;

pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    // The check of the store has said why it cannot be opened.
    let Ok(fleet) = roles::seen_fleet(config) else {
        return unknown("the store cannot be opened", findings);
    };
    let query = |of, age| AgeQuery {
        of,
        device_type: None,
        group: None,
        warning: age,
        critical: age,
        limit: NAMED,
    };
    let (old, frozen) = (
        query(AgeOf::Unsynchronized, ALARM),
        query(AgeOf::Unchecked, FROZEN),
    );
    let found: Result<_, StoreError> =
        tokio::try_join!(fleet.ages(&old), fleet.ages(&frozen), fleet.device_counts());
    match found {
        Ok((ages, unchecked, counts)) => {
            flags(&ages, findings);
            verdicts(&unchecked, findings);
            states(&ages, findings);
            declared(&config.devices.types, &by_type(&counts), findings);
        }
        Err(error) => unknown(&format!("{:#}", anyhow::Error::new(error)), findings),
    }
}

fn unknown(reason: &str, findings: &mut Findings) {
    for check in [FLAGS, VERDICTS, STATES, TYPES] {
        findings.unknown(check, reason, "make the check of the store succeed first");
    }
}

fn flags(ages: &Ages, findings: &mut Findings) {
    let managed = counted(ages.in_state, "MANAGED device");
    if ages.over_critical == 0 {
        return findings.ok(
            FLAGS,
            format!("{} of {managed} unsynchronized, none for an hour", ages.aged),
        );
    }
    let is_old = |aged: &&AgedDevice| {
        aged.since
            .is_some_and(|since| ages.at.duration_since(since).as_secs() >= 3600)
    };
    let old = ages.oldest.iter().filter(is_old);
    findings.warning(
        FLAGS,
        format!(
            "{} of {managed} unsynchronized for an hour or longer: {}",
            ages.over_critical,
            names(old, ages.over_critical)
        ),
        "`lockstep check sync-age` shows the causes; synchronize the devices, or move them to UNMANAGED with a note",
    );
}

fn verdicts(ages: &Ages, findings: &mut Findings) {
    let synchronized = counted(ages.aged, "synchronized MANAGED device");
    if ages.over_critical == 0 {
        return findings.ok(
            VERDICTS,
            format!("{synchronized}, each compared or changed within 7 days"),
        );
    }
    let is_old = |aged: &&AgedDevice| {
        let age = aged
            .since
            .map(|since| ages.at.duration_since(since).unsigned_abs());
        age.is_some_and(|age| age >= FROZEN)
    };
    findings.warning(
        VERDICTS,
        format!(
            "{} of {synchronized} not compared for 7 days or longer: {}",
            ages.over_critical,
            names(ages.oldest.iter().filter(is_old), ages.over_critical)
        ),
        "`lockstep sync plan --all --resync` compares all and changes none; `lockstep check verdict-age` is the alarm",
    );
}

fn states(ages: &Ages, findings: &mut Findings) {
    if ages.expired == 0 {
        return findings.ok(STATES, "none should have ended");
    }
    findings.warning(
        STATES,
        format!(
            "{} in a state that should have ended: {}",
            counted(ages.expired, "device"),
            names(ages.longest_expired.iter(), ages.expired)
        ),
        "set their next state, or a later --until, with `lockstep devices set-state`; nothing changes by itself",
    );
}

fn by_type(counts: &[DeviceCount]) -> BTreeMap<DeviceType, u64> {
    counts.iter().fold(BTreeMap::new(), |mut all, count| {
        *all.entry(count.device_type.clone()).or_default() += count.devices;
        all
    })
}

fn declared(types: &DeviceTypes, counts: &BTreeMap<DeviceType, u64>, findings: &mut Findings) {
    let undeclared: Vec<String> = counts
        .iter()
        .filter(|(device_type, _)| !types.contains(device_type))
        .map(|(device_type, count)| format!("{} of {device_type}", counted(*count, "device")))
        .collect();
    if undeclared.is_empty() {
        return findings.ok(TYPES, "all devices are of declared types");
    }
    findings.warning(
        TYPES,
        format!("undeclared types: {}", undeclared.join(", ")),
        "declare them in [devices.types] of every worker, or import the devices with another type; until then no folder of a type \
         concerns them",
    );
}

fn names<'a>(listed: impl Iterator<Item = &'a AgedDevice>, all: u64) -> String {
    let names: Vec<&str> = listed.map(|aged| aged.device.hostname.as_str()).collect();
    let more = if all > names.len() as u64 { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lockstep_protocol::DeviceState;
    use lockstep_store::{Attributes, Device, DeviceId, Lifecycle, SyncState};

    use super::super::finding::State;
    use super::*;

    fn aged(hostname: &str, since: Option<&str>) -> AgedDevice {
        AgedDevice {
            device: Device {
                checked_at: None,
                id: DeviceId(1),
                hostname: hostname.parse().unwrap(),
                attributes: Attributes::of(DeviceType::ACCESS),
                lifecycle: Lifecycle {
                    state: DeviceState::Managed,
                    note: None,
                    until: None,
                    version: None,
                    since: None,
                },
                sync: SyncState::SYNCHRONIZED,
                marked: None,
                primary_group: None,
                open_causes: Vec::new(),
            },
            since: since.map(|since| since.parse().unwrap()),
        }
    }

    fn ages(over: u64, expired: u64) -> Ages {
        let at: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
        Ages {
            at,
            matching: 4,
            in_state: 3,
            aged: 2,
            over_warning: over,
            over_critical: over,
            oldest: vec![
                aged("old", Some("2026-02-03T02:00:00Z")),
                aged("young", Some("2026-02-03T04:00:00Z")),
            ],
            expired,
            longest_expired: vec![aged("gone", None)],
        }
    }

    #[test]
    fn old_flags_and_ends_that_passed_are_warnings_with_names() {
        let mut findings = Findings::default();
        flags(&ages(0, 0), &mut findings);
        states(&ages(0, 0), &mut findings);
        assert_eq!(findings.worst(), State::Ok);
        for (over, expired, said) in [
            (
                1,
                0,
                "1 of 3 MANAGED devices unsynchronized for an hour or longer: old",
            ),
            (0, 1, "1 device in a state that should have ended: gone"),
            (0, 7, "7 devices in a state that should have ended: gone, …"),
        ] {
            let mut findings = Findings::default();
            flags(&ages(over, expired), &mut findings);
            states(&ages(over, expired), &mut findings);
            assert_eq!(findings.worst(), State::Warning, "{said}");
            let lines = findings.lines();
            assert!(lines.iter().any(|line| line.ends_with(said)), "{lines:?}");
        }
    }

    #[test]
    fn a_verdict_of_long_ago_is_a_warning() {
        let mut findings = Findings::default();
        verdicts(&ages(0, 0), &mut findings);
        assert_eq!(findings.worst(), State::Ok);
        let mut old = ages(1, 0);
        old.oldest[0].since = Some("2026-01-20T00:00:00Z".parse().unwrap());
        verdicts(&old, &mut findings);
        assert_eq!(findings.worst(), State::Warning);
        let lines = findings.lines().join("\n");
        let expected = "1 of 2 synchronized MANAGED devices not compared for 7 days or longer: old";
        assert!(lines.contains(expected), "{lines}");
    }

    #[test]
    fn types_that_are_not_declared_are_a_warning() {
        let counts = |pairs: &[(&str, u64)]| {
            let pairs = pairs.iter().map(|(name, count)| (name.parse().unwrap(), *count));
            pairs.collect::<BTreeMap<DeviceType, u64>>()
        };
        let types = DeviceTypes::default();
        let mut findings = Findings::default();
        declared(&types, &counts(&[("ACCESS", 3)]), &mut findings);
        assert_eq!(findings.worst(), State::Ok);
        declared(
            &types,
            &counts(&[("ACCESS", 3), ("LEAF", 1), ("SPINE", 2)]),
            &mut findings,
        );
        assert_eq!(findings.worst(), State::Warning);
        let lines = findings.lines().join("\n");
        assert!(
            lines.contains("undeclared types: 1 device of LEAF, 2 devices of SPINE"),
            "{lines}"
        );
    }
}
