use super::*;
use crate::RepositoryKind::{Settings, Templates};

const NTP: &str = "ntp_servers: []\n";
const DNS: &str = "dns_servers: []\n";

#[test]
fn a_link_changes_when_its_target_changes() {
    let table: [(Files<'_>, Files<'_>, &str); 8] = [
        // The file behind the link changed.
        (
            &[
                (LINK, "devices/d1/a.yml", "../../shared/a.yml"),
                (FILE, "shared/a.yml", NTP),
            ],
            &[
                (LINK, "devices/d1/a.yml", "../../shared/a.yml"),
                (FILE, "shared/a.yml", DNS),
            ],
            "d1",
        ),
        (
            &[
                (LINK, "devices/d1/a.yml", "../../shared/a.yml"),
                (FILE, "shared/a.yml", NTP),
            ],
            &[
                (LINK, "devices/d1/a.yml", "../../shared/a.yml"),
                (FILE, "shared/a.yml", "x: 1"),
            ],
            "devices/d1/a.yml:1:1: unknown key x; if it is intended, declare it in lockstep.yml: `extra_keys: {x: any}`",
        ),
        // A chain of links, with a link to a folder in it.
        (
            &[
                (LINK, "access/a.yml", "../l/a.yml"),
                (LINK, "l", "./m"),
                (LINK, "m/a.yml", "b.yml"),
                (FILE, "m/b.yml", NTP),
            ],
            &[
                (LINK, "access/a.yml", "../l/a.yml"),
                (LINK, "l", "./m"),
                (LINK, "m/a.yml", "b.yml"),
                (FILE, "m/b.yml", DNS),
            ],
            "ACCESS",
        ),
        (
            &[
                (LINK, "access/a.yml", "../l/a.yml"),
                (LINK, "l", "m"),
                (FILE, "m/a.yml", NTP),
                (FILE, "n/a.yml", DNS),
            ],
            &[
                (LINK, "access/a.yml", "../l/a.yml"),
                (LINK, "l", "n"),
                (FILE, "m/a.yml", NTP),
                (FILE, "n/a.yml", DNS),
            ],
            "ACCESS",
        ),
        // A device whose folder is a link to that of another one.
        (
            &[(FILE, "devices/d1/a.yml", NTP), (LINK, "devices/d2", "d1")],
            &[(FILE, "devices/d1/a.yml", DNS), (LINK, "devices/d2", "d1")],
            "d1, d2",
        ),
        // Settings behind a link to a folder are checked.
        (
            &[],
            &[
                (LINK, "devices/d1", "../shared/d"),
                (FILE, "shared/d/a.yml", "x: 1"),
            ],
            "shared/d/a.yml:1:1: unknown key x; if it is intended, declare it in lockstep.yml: `extra_keys: {x: any}`",
        ),
        (
            &[],
            &[(LINK, "access", "shared"), (FILE, "shared/a.yml", "x: 1")],
            "shared/a.yml:1:1: unknown key x; if it is intended, declare it in lockstep.yml: `extra_keys: {x: any}`",
        ),
        (
            &[(LINK, "access", "shared"), (FILE, "shared/a.yml", NTP)],
            &[(LINK, "access", "shared"), (FILE, "shared/a.yml", DNS)],
            "ACCESS",
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(outcome(Settings, old, new), expected, "{old:?} {new:?}");
    }
}

#[test]
fn a_settings_file_that_is_a_link_without_a_target_is_a_problem() {
    let table: [(Files<'_>, Files<'_>, &str); 6] = [
        // The target was removed.
        (
            &[
                (LINK, "devices/d1/a.yml", "b.yml"),
                (FILE, "devices/d1/b.yml", NTP),
            ],
            &[(LINK, "devices/d1/a.yml", "b.yml")],
            "devices/d1/a.yml: is a link to \"b.yml\", and there is no such file in the repository",
        ),
        (&[], &[(LINK, "devices/d1/README", "gone")], "d1"),
        (
            &[],
            &[(LINK, "access/a.yml", "../../etc/passwd")],
            "access/a.yml: is a link to \"../../etc/passwd\", which is outside of the repository; files outside are not read",
        ),
        (
            &[],
            &[(LINK, "devices/d1", "/etc")],
            "devices/d1: is a link to \"/etc\", which is outside of the repository; files outside are not read",
        ),
        (
            &[],
            &[(LINK, "access/a.yml", "b.yml"), (LINK, "access/b.yml", "a.yml")],
            "access/a.yml: is a link in a cycle of links; access/b.yml: is a link in a cycle of links",
        ),
        (
            &[],
            &[(LINK, "access/a.yml", "../core"), (FILE, "core/b.yml", NTP)],
            "access/a.yml: is a link to a folder, must be a file",
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(outcome(Settings, old, new), expected, "{old:?} {new:?}");
    }
}

#[test]
fn a_template_or_a_platform_may_be_a_link() {
    let mapping = "ACCESS: {entrypoint: a.j2}";
    let of = |base: &'static str| {
        [
            (FILE, "eos/mapping.yml", mapping),
            (FILE, "eos/a.j2", base),
            (FILE, "junos/mapping.yml", mapping),
            (LINK, "junos/a.j2", "../eos/a.j2"),
            (LINK, "veos", "eos"),
        ]
    };
    assert_eq!(
        outcome(Templates, &of("1"), &of("2")),
        "ACCESS eos, ACCESS junos, ACCESS veos"
    );
    assert_eq!(outcome(Templates, &of("1"), &of("1")), "");
}
