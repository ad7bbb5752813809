//! Compares which devices real commits of public repositories unsynchronize in CNaaS NMS and in this crate, case by case.
//! `differences.json` lists the deliberate differences by reason and case, and `fleet/README.md` explains the reasons. A difference
//! that is not listed fails the test, and so does a listed one that no longer exists.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_protocol::{CausePath, DeviceType, Hostname};
use serde::Deserialize;

use super::settings::{self, read_groups};
use super::templates::{self, Mapping, Mappings, Platform};
use super::{Cancellation, ConcernedPaths};
use crate::fleet::{Affected, Candidate, DeviceTypes, Groups, select};

const HISTORY: &str = include_str!("cnaas_history.json");
const DIFFERENCES: &str = include_str!("differences.json");

#[derive(Deserialize)]
struct History {
    inventories: BTreeMap<String, Inventory>,
    #[serde(rename = "settings_history")]
    settings: Vec<SettingsCase>,
    #[serde(rename = "templates_history")]
    templates: Vec<TemplatesCase>,
}

#[derive(Deserialize)]
struct Inventory {
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    hostname: Hostname,
    #[serde(rename = "device_type")]
    kind: DeviceType,
    platform: String,
}

#[derive(Deserialize)]
struct SettingsCase {
    id: String,
    inventory: String,
    changed_paths: Vec<String>,
    changed_paths_no_rename_detection: Option<Vec<String>>,
    groups: serde_json::Value,
    primary_group: BTreeMap<Hostname, String>,
    expected: Expected,
}

/// The devices that a change of settings concerns.
#[derive(Debug, PartialEq, Deserialize)]
struct Expected {
    devtypes: BTreeSet<DeviceType>,
    hostnames: BTreeSet<Hostname>,
    flagged_devices: BTreeSet<Hostname>,
    unknown_hostnames: BTreeSet<Hostname>,
}

#[derive(Deserialize)]
struct TemplatesCase {
    id: String,
    changed_paths: Vec<String>,
    mappings: BTreeMap<String, serde_json::Value>,
    expected_error: Option<String>,
    expected_pairs: BTreeSet<(DeviceType, String)>,
    expected_flagged_devices_campus: BTreeSet<Hostname>,
}

/// The cases that differ, by reason.
type Differences = BTreeMap<String, BTreeSet<String>>;

fn history() -> History {
    serde_json::from_str(HISTORY).unwrap()
}

fn flagged(
    affected: &Affected,
    groups: &Groups,
    inventory: &Inventory,
) -> (BTreeSet<Hostname>, BTreeSet<Hostname>) {
    let candidates = inventory.devices.iter().map(|device| Candidate {
        hostname: &device.hostname,
        device_type: &device.kind,
        platform: Some(&device.platform),
    });
    let selection = select(affected, groups, candidates);
    (
        selection.devices.into_iter().cloned().collect(),
        selection.unknown_hostnames,
    )
}

fn settings_of(case: &SettingsCase, paths: &[String], groups: &Groups, inventory: &Inventory) -> Expected {
    let affected = settings::affected(&DeviceTypes::default(), paths.iter().map(String::as_bytes));
    let (flagged_devices, unknown_hostnames) = flagged(&affected, groups, inventory);
    assert!(affected.platforms.is_empty(), "{}", case.id);
    Expected {
        devtypes: affected.device_types,
        hostnames: affected.hostnames,
        flagged_devices,
        unknown_hostnames,
    }
}

/// The paths that people are shown concern the same devices, one by one, as all together.
fn check_path_by_path(paths: &[String], rule: impl Fn(Vec<&[u8]>) -> Affected) {
    let all = || paths.iter().map(String::as_bytes);
    let whole = rule(all().collect());
    let mut union = Affected::default();
    let mut concerning = 0;
    for path in all() {
        let one = rule(vec![path]);
        concerning += u64::from(!one.is_empty());
        union.union(one);
    }
    assert_eq!(union, whole, "{paths:?}");
    let shown = ConcernedPaths::of(all(), |path| rule(vec![path]), &Cancellation::never());
    assert_eq!(shown.paths.len() as u64 + shown.more, concerning, "{paths:?}");
    for CausePath {
        path,
        device_types,
        platform,
        hostname,
        group,
    } in shown.paths
    {
        let pair = |kind: &DeviceType| match &platform {
            Some(platform) => whole.platforms.contains(&(kind.clone(), platform.clone())),
            None => whole.device_types.contains(kind),
        };
        assert!(device_types.iter().all(pair), "{path}");
        assert!(
            hostname.is_none_or(|hostname| whole.hostnames.contains(&hostname)),
            "{path}"
        );
        assert!(group.is_none_or(|group| whole.groups.contains(&group)), "{path}");
    }
}

/// The reason why a case differs, found by checking the deliberate differences one by one.
fn settings_reason(case: &SettingsCase, ours: &Expected) -> &'static str {
    let expected = &case.expected;
    let top = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
    let tops: BTreeSet<String> = case.changed_paths.iter().map(top).collect();
    if tops.contains("global")
        && ours.devtypes == expected.devtypes
        && ours.flagged_devices == expected.flagged_devices
    {
        return "paths beside global/ still count";
    }
    if tops.contains("firewall") && ours.devtypes.contains(&DeviceType::FIREWALL) {
        return "firewall/ concerns firewalls";
    }
    if case.changed_paths_no_rename_detection.is_some() {
        return "a rename concerns both sides";
    }
    "unexplained"
}

#[test]
fn settings_unsynchronize_the_same_devices_as_in_cnaas_nms() {
    let history = history();
    assert_eq!(history.settings.len(), 214);
    let mut differences = Differences::new();
    for case in &history.settings {
        let inventory = &history.inventories[&case.inventory];
        let groups = serde_json::json!({"groups": case.groups}).to_string();
        let groups = read_groups(b"global/groups.yml", groups.as_bytes(), &Cancellation::never()).unwrap();
        for (hostname, group) in &case.primary_group {
            assert_eq!(
                groups.primary(hostname).unwrap().as_str(),
                group,
                "{} {hostname}",
                case.id
            );
        }
        // Lockstep compares listings, without git's detection of renames.
        let paths = case
            .changed_paths_no_rename_detection
            .as_ref()
            .unwrap_or(&case.changed_paths);
        let ours = settings_of(case, paths, &groups, inventory);
        let types = DeviceTypes::default();
        check_path_by_path(paths, |paths| settings::affected(&types, paths));
        if ours != case.expected {
            let reason = settings_reason(case, &ours);
            differences
                .entry(reason.to_owned())
                .or_default()
                .insert(case.id.clone());
        }
    }
    compare(&differences, "S-");
}

#[test]
fn real_settings_repositories_get_no_warning() {
    let history = history();
    let cases = history.settings.iter();
    let paths = cases.flat_map(|case| {
        let all = case.changed_paths_no_rename_detection.iter().flatten();
        all.chain(&case.changed_paths)
    });
    let types = DeviceTypes::default();
    let warnings = settings::unread(paths.map(String::as_bytes), None, &types);
    assert_eq!(warnings, []);
}

#[test]
fn templates_unsynchronize_the_same_devices_as_in_cnaas_nms() {
    let history = history();
    assert_eq!(history.templates.len(), 187);
    let mut differences = Differences::new();
    let types = DeviceTypes::default();
    for case in &history.templates {
        assert_eq!(case.expected_error, None, "{}", case.id);
        let read = |mapping: &serde_json::Value| {
            Platform::Known(Mapping::read(b"mapping.yml", mapping.to_string().as_bytes(), &types).unwrap())
        };
        let mappings: Mappings = case
            .mappings
            .iter()
            .map(|(platform, mapping)| (platform.clone(), read(mapping)))
            .collect();
        let found = |paths: &[&String]| {
            let paths = paths.iter().map(|path| path.as_bytes());
            let affected = templates::affected(paths, &mappings, &mappings, &Cancellation::never()).unwrap();
            assert!(
                affected.device_types.is_empty() && affected.hostnames.is_empty(),
                "{}",
                case.id
            );
            assert!(affected.whole_platforms.is_empty(), "{}", case.id);
            let (devices, _) = flagged(&affected, &Groups::default(), &history.inventories["campus"]);
            (affected.platforms, devices)
        };
        check_path_by_path(&case.changed_paths, |paths| {
            templates::affected(paths, &mappings, &mappings, &Cancellation::never()).unwrap()
        });
        let expected = (
            case.expected_pairs.clone(),
            case.expected_flagged_devices_campus.clone(),
        );
        let all: Vec<&String> = case.changed_paths.iter().collect();
        if found(&all) != expected {
            let rest: Vec<&String> = all
                .into_iter()
                .filter(|path| !path.ends_with("/mapping.yml"))
                .collect();
            let reason = if found(&rest) == expected {
                "a change of mapping.yml concerns its types"
            } else {
                "unexplained"
            };
            differences
                .entry(reason.to_owned())
                .or_default()
                .insert(case.id.clone());
        }
    }
    compare(&differences, "T-");
}

fn compare(found: &Differences, prefix: &str) {
    let mut listed: Differences = serde_json::from_str(DIFFERENCES).unwrap();
    for cases in listed.values_mut() {
        cases.retain(|id| id.starts_with(prefix));
    }
    listed.retain(|_, cases| !cases.is_empty());
    assert_eq!(
        *found,
        listed,
        "found (left) and listed (right) differ:\n{}",
        serde_json::to_string_pretty(found).unwrap()
    );
}
