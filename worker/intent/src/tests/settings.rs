use super::*;
use crate::RepositoryKind::Settings;

const NTP: &str = "ntp_servers: [{host: 10.0.0.1}]\n";
const BROKEN: &str = "ntp_servers: 1\n";
const RACKS: &str = "racks: []\n";

#[test]
fn what_changed_is_checked_and_which_devices_it_concerns_is_told() {
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
        // Only what changed is looked into.
        (
            &[(FILE, "access/a.yml", BROKEN), d1],
            &[
                (FILE, "access/a.yml", BROKEN),
                (FILE, "devices/d1/base_system.yml", ""),
            ],
            "d1",
        ),
        (
            &[d1],
            &[(FILE, "access/a.yml", BROKEN), d1],
            "access/a.yml:1:14: ntp_servers must be a list, is a number",
        ),
        // Nothing was accepted before, so all is looked into.
        (
            &[],
            &[(FILE, "access/a.yml", BROKEN), (FILE, "core/b.yaml", "x: 1"), d1],
            "access/a.yml:1:14: ntp_servers must be a list, is a number; core/b.yaml:1:1: unknown key x; if it is \
             meant, declare it in lockstep.yml: `extra_keys: {x: any}`",
        ),
        // A repair alone.
        (
            &[(FILE, "core/a.yml", BROKEN)],
            &[(FILE, "core/a.yml", NTP)],
            "CORE",
        ),
        // Files that are no settings, and folders that are nobody's.
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
        // Keys of the repository's own.
        (
            &[],
            &[
                (FILE, "lockstep.yml", "extra_keys: {racks: list}"),
                (FILE, "access/a.yml", RACKS),
            ],
            "ACCESS",
        ),
        // A declaration that goes away concerns files that did not change.
        (
            &[
                (FILE, "lockstep.yml", "extra_keys: {racks: list}"),
                (FILE, "access/a.yml", RACKS),
            ],
            &[
                (FILE, "lockstep.yml", "extra_keys: {}"),
                (FILE, "access/a.yml", RACKS),
            ],
            "access/a.yml:1:1: unknown key racks; if it is meant, declare it in lockstep.yml: `extra_keys: {racks: any}`",
        ),
        (
            &[],
            &[(FILE, "lockstep.yml", "extra_keys: [racks]")],
            "lockstep.yml:1:13: extra_keys must be a map of keys to kinds, is a list",
        ),
        // Groups are needed each time, so they must be sound each time.
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
        assert_eq!(told(Settings, old, new), expected, "{old:?} {new:?}");
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
    let judgement = examined(Settings, &old, &new, &[]).unwrap();
    assert_eq!(names(&judgement.affected), "ACCESS, DIST, CORE, group E1");
    let hostname = "sw1".parse().unwrap();
    assert_eq!(judgement.groups.primary(&hostname).unwrap().as_str(), "E1");
    let judgement = examined(Settings, &new, &old, &[]).unwrap();
    assert_eq!(judgement.groups.primary(&hostname).unwrap().as_str(), "DEFAULT");
}

/// CNaaS never flags the ACCESS devices here: their change came with a mistake elsewhere, and only its repair is looked at.
#[test]
fn a_change_that_came_with_a_mistake_is_not_forgotten_when_the_mistake_is_repaired() {
    let d1 = (FILE, "devices/d1/base_system.yml", NTP);
    let accepted = [(FILE, "access/a.yml", ""), d1];
    let first = [
        (FILE, "access/a.yml", NTP),
        (FILE, "devices/d1/base_system.yml", BROKEN),
    ];
    let second = [(FILE, "access/a.yml", NTP), d1];
    assert!(told(Settings, &accepted, &first).starts_with("devices/d1/base_system.yml:1:14: "));
    assert_eq!(told(Settings, &accepted, &second), "ACCESS");
}

#[test]
fn a_file_that_is_too_large_or_lost_is_a_problem() {
    let new = listing(&[(FILE, "access/a.yml", NTP)]);
    let old = Listing::empty();
    let change = Change::between(&old, &new);
    let examined = |content: Content| {
        let mut contents = Contents::default();
        contents.insert(object(NTP), content);
        match examine(Settings, &change, &contents) {
            Examination::Broken(problems) => problems[0].to_string(),
            other => panic!("{other:?}"),
        }
    };
    let large = Content::Bytes(vec![b' '; usize::try_from(MOST_BYTES).unwrap() + 1]);
    let expected = "access/a.yml: has 10485761 bytes, the most is 10485760; split it";
    assert_eq!(examined(large), expected);
    assert_eq!(examined(Content::TooLarge(10_485_761)), expected);
    assert_eq!(
        examined(Content::Missing),
        "access/a.yml: its content is not in the repository; fetch it again"
    );
}
