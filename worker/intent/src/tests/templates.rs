use super::*;
use crate::RepositoryKind::Templates;

const ACCESS: &str = "ACCESS: {entrypoint: access.j2, dependencies: [base.j2]}\n";
const DIST: &str = "DIST: {entrypoint: dist.j2}\n";

#[test]
fn a_template_concerns_the_types_that_depend_on_it() {
    let mapping = (FILE, "eos/mapping.yml", ACCESS);
    let table: [(Files<'_>, Files<'_>, &str); 14] = [
        (&[mapping], &[mapping], ""),
        (&[mapping], &[mapping, (FILE, "eos/base.j2", "")], "ACCESS eos"),
        (&[mapping, (FILE, "eos/base.j2", "")], &[mapping], "ACCESS eos"),
        (
            &[mapping],
            &[mapping, (FILE, "eos/other.j2", ""), (FILE, "README", "")],
            "",
        ),
        // Both sides of a rename.
        (
            &[
                mapping,
                (FILE, "eos/base.j2", "x"),
                (FILE, "junos/mapping.yml", DIST),
            ],
            &[
                mapping,
                (FILE, "junos/dist.j2", "x"),
                (FILE, "junos/mapping.yml", DIST),
            ],
            "ACCESS eos, DIST junos",
        ),
        // The mapping itself: the types of the old and of the new one.
        (
            &[mapping],
            &[(FILE, "eos/mapping.yml", DIST)],
            "ACCESS eos, DIST eos",
        ),
        (&[], &[mapping], "ACCESS eos"),
        (&[mapping], &[(FILE, "README", "")], "ACCESS eos"),
        (&[mapping, (FILE, "eos/base.j2", "")], &[], "ACCESS eos"),
        // The old mapping is invalid: all types.
        (
            &[(FILE, "eos/mapping.yml", "]")],
            &[mapping],
            "ACCESS eos, all eos",
        ),
        // Folders that are not platforms.
        (&[], &[(FILE, "docs/x.md", ""), (FILE, ".github/x.j2", "")], ""),
        (
            &[],
            &[mapping, (FILE, "junos/sub/x.j2", "")],
            "junos/mapping.yml: is missing, and the folder has templates; create it with the templates of each device type",
        ),
        // A type that is not known is ignored.
        (
            &[mapping],
            &[(FILE, "eos/mapping.yml", "ACESS: {entrypoint: a}")],
            "ACCESS eos",
        ),
        // The mapping was invalid before, but without it the devices concerned are unknown.
        (
            &[(FILE, "eos/mapping.yml", "]")],
            &[(FILE, "eos/mapping.yml", "]"), (FILE, "eos/base.j2", "")],
            "eos/mapping.yml:1:1: invalid YAML: misplaced bracket",
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(outcome(Templates, old, new), expected, "{old:?} {new:?}");
    }
}

#[test]
fn an_old_mapping_that_is_missing_concerns_the_whole_platform() {
    let old = [
        (FILE, "eos/mapping.yml", DIST),
        (FILE, "junos/mapping.yml", ACCESS),
    ];
    let new = [(FILE, "eos/mapping.yml", ACCESS)];
    assert_eq!(
        outcome_without(Templates, &old, &new, &[DIST]),
        "ACCESS eos, ACCESS junos, all eos"
    );
    let found = outcome_without(Templates, &old, &new, &[ACCESS]);
    assert_eq!(
        found,
        "eos/mapping.yml: its content is not in the clone; fetch the repository again"
    );
}

#[test]
fn what_has_no_effect_is_reported_and_the_commit_is_accepted() {
    let new = [
        (
            FILE,
            "eos/mapping.yml",
            "ACCESS: {entrypoint: access.j2, dependencies: null}\nDIST: {entrypoint: dits.j2}\nSPINE: {}",
        ),
        (FILE, "eos/access.j2", ""),
        (FILE, "eos/dist.j2", ""),
        (FILE, "esos/notes.txt", ""),
        (FILE, "docs/notes.txt", ""),
    ];
    let impact = examined(Templates, &[], &new, &[]).unwrap();
    let warnings: Vec<String> = impact.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "eos/mapping.yml: the entrypoint of DIST, \"dits.j2\", is not in eos/",
            "eos/mapping.yml:3:1: unknown device type \"SPINE\", which is ignored; expected one of UNKNOWN, ACCESS, DIST, CORE, FIREWALL, or a type that is declared in [devices.types]",
            "esos: has no mapping.yml, so it is no platform; did you mean eos/?",
        ]
    );
}
