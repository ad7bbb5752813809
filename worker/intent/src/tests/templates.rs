use super::*;
use crate::RepositoryKind::Templates;

const ACCESS: &str = "ACCESS: {entrypoint: access.j2, dependencies: [base.j2]}\n";
const DIST: &str = "DIST: {entrypoint: dist.j2}\n";

#[test]
fn a_change_concerns_the_types_whose_part_it_is() {
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
        // The mapping itself: its types, as they were and as they are.
        (
            &[mapping],
            &[(FILE, "eos/mapping.yml", DIST)],
            "ACCESS eos, DIST eos",
        ),
        (&[], &[mapping], "ACCESS eos"),
        (&[mapping], &[(FILE, "README", "")], "ACCESS eos"),
        (&[mapping, (FILE, "eos/base.j2", "")], &[], "ACCESS eos"),
        // What it was is not readable: everybody.
        (
            &[(FILE, "eos/mapping.yml", "]")],
            &[mapping],
            "ACCESS eos, all eos",
        ),
        // Folders that are no platforms.
        (&[], &[(FILE, "docs/x.md", ""), (FILE, ".github/x.j2", "")], ""),
        (
            &[],
            &[mapping, (FILE, "junos/sub/x.j2", "")],
            "junos/mapping.yml: is missing, and the folder has templates; say in it which types they are for",
        ),
        (
            &[mapping],
            &[(FILE, "eos/mapping.yml", "ACESS: {entrypoint: a}")],
            "eos/mapping.yml:1:1: is no device type: \"ACESS\" is not one of UNKNOWN, ACCESS, DIST, CORE, FIREWALL",
        ),
        // Broken before, and not by this change; but nobody can say whom it concerns.
        (
            &[(FILE, "eos/mapping.yml", "]")],
            &[(FILE, "eos/mapping.yml", "]"), (FILE, "eos/base.j2", "")],
            "eos/mapping.yml:1:1: is no YAML: misplaced bracket",
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(told(Templates, old, new), expected, "{old:?} {new:?}");
    }
}

#[test]
fn an_old_mapping_that_is_lost_concerns_the_whole_platform() {
    let old = [
        (FILE, "eos/mapping.yml", DIST),
        (FILE, "junos/mapping.yml", ACCESS),
    ];
    let new = [(FILE, "eos/mapping.yml", ACCESS)];
    assert_eq!(
        told_without(Templates, &old, &new, &[DIST]),
        "ACCESS eos, ACCESS junos, all eos"
    );
    let told = told_without(Templates, &old, &new, &[ACCESS]);
    assert_eq!(
        told,
        "eos/mapping.yml: its content is not in the repository; fetch it again"
    );
}
