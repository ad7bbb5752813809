use super::*;
use crate::RepositoryKind::{Settings, Templates};

const NTP: &str = "ntp_servers: []\n";
const DNS: &str = "dns_servers: []\n";

#[test]
fn a_link_is_what_it_leads_to() {
    let table: [(Files<'_>, Files<'_>, &str); 8] = [
        // What is behind it changed, so it changed.
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
            "devices/d1/a.yml:1:1: unknown key x; if it is meant, declare it in lockstep.yml: `extra_keys: {x: any}`",
        ),
        // Over a second link, and over one of its folders.
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
        // A device that is another one.
        (
            &[(FILE, "devices/d1/a.yml", NTP), (LINK, "devices/d2", "d1")],
            &[(FILE, "devices/d1/a.yml", DNS), (LINK, "devices/d2", "d1")],
            "d1, d2",
        ),
        // Settings behind a link to a folder are looked into.
        (
            &[],
            &[
                (LINK, "devices/d1", "../shared/d"),
                (FILE, "shared/d/a.yml", "x: 1"),
            ],
            "shared/d/a.yml:1:1: unknown key x; if it is meant, declare it in lockstep.yml: `extra_keys: {x: any}`",
        ),
        (
            &[],
            &[(LINK, "access", "shared"), (FILE, "shared/a.yml", "x: 1")],
            "shared/a.yml:1:1: unknown key x; if it is meant, declare it in lockstep.yml: `extra_keys: {x: any}`",
        ),
        (
            &[(LINK, "access", "shared"), (FILE, "shared/a.yml", NTP)],
            &[(LINK, "access", "shared"), (FILE, "shared/a.yml", DNS)],
            "ACCESS",
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(told(Settings, old, new), expected, "{old:?} {new:?}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_a_problem_where_settings_should_be() {
    let table: [(Files<'_>, Files<'_>, &str); 6] = [
        // What it leads to went away.
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
            "access/a.yml: is a link to \"../../etc/passwd\", which is outside of the repository; nothing there is read",
        ),
        (
            &[],
            &[(LINK, "devices/d1", "/etc")],
            "devices/d1: is a link to \"/etc\", which is outside of the repository; nothing there is read",
        ),
        (
            &[],
            &[(LINK, "access/a.yml", "b.yml"), (LINK, "access/b.yml", "a.yml")],
            "access/a.yml: is a link that leads in a circle; access/b.yml: is a link that leads in a circle",
        ),
        (
            &[],
            &[(LINK, "access/a.yml", "../core"), (FILE, "core/b.yml", NTP)],
            "access/a.yml: is a link to a folder, must be a file",
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(told(Settings, old, new), expected, "{old:?} {new:?}");
    }
}

#[test]
fn a_template_may_be_a_link_and_a_platform_too() {
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
        told(Templates, &of("1"), &of("2")),
        "ACCESS eos, ACCESS junos, ACCESS veos"
    );
    assert_eq!(told(Templates, &of("1"), &of("1")), "");
}
