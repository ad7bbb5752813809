use super::*;
use crate::RepositoryKind::Settings;

const NTP: &str = "ntp_servers: [{host: 10.0.0.1}]\n";
const INVALID: &str = "ntp_servers: 1\n";
const RACKS: &str = "racks: []\n";

#[test]
fn changed_files_are_checked_and_the_devices_concerned_are_found() {
    let d1 = (FILE, "devices/d1/base_system.yml", NTP);
    let table: [(Files<'_>, Files<'_>, &str); 17] = [
        (&[d1], &[d1], ""),
        (&[], &[d1], "d1"),
        (&[d1], &[], "d1"),
        // A rename: both.
        (&[d1], &[(FILE, "devices/d2/base_system.yml", NTP)], "d1, d2"),
        (
            &[(FILE, "access/a.yml", NTP)],
            &[(FILE, "dist/a.yml", NTP)],
            "ACCESS, DIST",
        ),
        // The mode alone is a change.
        (
            &[d1],
            &[(Mode::LINK, "devices/d1/x", "base_system.yml"), d1],
            "d1",
        ),
        // Files that did not change are not checked.
        (
            &[(FILE, "access/a.yml", INVALID), d1],
            &[
                (FILE, "access/a.yml", INVALID),
                (FILE, "devices/d1/base_system.yml", ""),
            ],
            "d1",
        ),
        (
            &[d1],
            &[(FILE, "access/a.yml", INVALID), d1],
            "access/a.yml:1:14: ntp_servers must be a list, is a number",
        ),
        // Nothing was accepted before, so all files are checked.
        (
            &[],
            &[(FILE, "access/a.yml", INVALID), (FILE, "core/b.yaml", "x: 1"), d1],
            "access/a.yml:1:14: ntp_servers must be a list, is a number; core/b.yaml:1:1: unknown key x; if it is \
             intended, declare it in lockstep.yml: `extra_keys: {x: any}`",
        ),
        // The invalid file is repaired.
        (
            &[(FILE, "core/a.yml", INVALID)],
            &[(FILE, "core/a.yml", NTP)],
            "CORE",
        ),
        // Files that are not settings, and folders that concern no device.
        (
            &[],
            &[
                (FILE, "devices/d1/photo.png", "\u{0}"),
                (FILE, "docs/x.yml", "]"),
                (FILE, ".ci.yml", "]"),
            ],
            "d1",
        ),
        (&[], &[(Mode::SUBMODULE, "devices/d1/vendor", "x")], "d1"),
        (
            &[],
            &[(Mode::SUBMODULE, "devices/d1/vendor.yml", "x")],
            "devices/d1/vendor.yml: is a submodule, must be a file",
        ),
        // Declared keys.
        (
            &[],
            &[
                (FILE, "lockstep.yml", "extra_keys: {racks: list}"),
                (FILE, "access/a.yml", RACKS),
            ],
            "ACCESS",
        ),
        // When a declaration is removed, files that did not change are checked again.
        (
            &[
                (FILE, "lockstep.yml", "extra_keys: {racks: list}"),
                (FILE, "access/a.yml", RACKS),
            ],
            &[
                (FILE, "lockstep.yml", "extra_keys: {}"),
                (FILE, "access/a.yml", RACKS),
            ],
            "access/a.yml:1:1: unknown key racks; if it is intended, declare it in lockstep.yml: `extra_keys: {racks: any}`",
        ),
        (
            &[],
            &[(FILE, "lockstep.yml", "extra_keys: [racks]")],
            "lockstep.yml:1:13: extra_keys must be a map of keys to kinds, is a list",
        ),
        // Groups are checked each time.
        (
            &[(FILE, "global/groups.yml", "groups: 1"), d1],
            &[
                (FILE, "global/groups.yml", "groups: 1"),
                (FILE, "devices/d1/base_system.yml", ""),
            ],
            "global/groups.yml:1:9: groups must be a list, is a number",
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(outcome(Settings, old, new), expected, "{old:?} {new:?}");
    }
}

#[test]
fn groups_come_from_the_new_tree() {
    let group = "groups: [{group: {name: E1, regex: sw, group_priority: 5}}]";
    let old = [(FILE, "groups/E1/routing.yml", "")];
    let new = [
        (FILE, "global/groups.yml", group),
        (FILE, "groups/E1/routing.yml", "vrfs: []"),
    ];
    let impact = examined(Settings, &old, &new, &[]).unwrap();
    assert_eq!(names(&impact.affected), "ACCESS, CORE, DIST, group E1");
    let hostname = "sw1".parse().unwrap();
    assert_eq!(impact.groups.primary(&hostname).unwrap().as_str(), "E1");
    let impact = examined(Settings, &new, &old, &[]).unwrap();
    assert_eq!(impact.groups.primary(&hostname).unwrap().as_str(), "DEFAULT");
}

/// CNaaS NMS never flags the ACCESS devices here: their change was pushed with a mistake elsewhere, and only the repair is compared.
#[test]
fn a_change_pushed_with_a_mistake_still_counts_after_the_repair() {
    let d1 = (FILE, "devices/d1/base_system.yml", NTP);
    let accepted = [(FILE, "access/a.yml", ""), d1];
    let first = [
        (FILE, "access/a.yml", NTP),
        (FILE, "devices/d1/base_system.yml", INVALID),
    ];
    let second = [(FILE, "access/a.yml", NTP), d1];
    assert!(outcome(Settings, &accepted, &first).starts_with("devices/d1/base_system.yml:1:14: "));
    assert_eq!(outcome(Settings, &accepted, &second), "ACCESS");
}

#[test]
fn a_file_that_is_too_large_or_missing_is_a_problem() {
    let large = " ".repeat(4 * 1024 * 1024 + 1);
    assert_eq!(
        outcome(Settings, &[], &[(FILE, "access/a.yml", &large)]),
        "access/a.yml: has 4194305 bytes, more than the limit of 4194304; split it"
    );
    assert_eq!(
        outcome_without(Settings, &[], &[(FILE, "access/a.yml", NTP)], &[NTP]),
        "access/a.yml: its content is not in the clone; fetch the repository again"
    );
}

#[test]
fn a_misspelled_folder_is_reported_until_it_is_renamed() {
    let group = "groups: [{group: {name: E1, regex: sw, group_priority: 5}}]";
    let old = [
        (FILE, "global/groups.yml", group),
        (FILE, "acces/base_system.yml", NTP),
        (FILE, "group/E1/routing.yml", "]"),
    ];
    let warnings = |old: Files<'_>, new: Files<'_>| {
        let impact = examined(Settings, old, new, &[]).unwrap();
        let warnings = impact.warnings.iter().map(ToString::to_string);
        (names(&impact.affected), warnings.collect::<Vec<_>>().join("; "))
    };
    let both = "acces: has no effect on any device; did you mean access/?; group: has no effect on any device; did you mean groups/?";
    assert_eq!(warnings(&[old[0]], &old), (String::new(), both.to_owned()));
    assert_eq!(warnings(&old, &old).1, both, "also if they did not change");
    let new = [old[0], (FILE, "access/base_system.yml", NTP)];
    assert_eq!(warnings(&old, &new), ("ACCESS".to_owned(), String::new()));
}
