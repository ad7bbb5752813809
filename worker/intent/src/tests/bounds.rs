//! Repositories made to cost much. Each is refused, or examined, in a few seconds and with little memory, also on a busy machine.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::*;
use crate::RepositoryKind::{Settings, Templates};
use crate::bounds::{MOST_LINKS, MOST_TOTAL_BYTES};

/// What any of these may take in a debug build on a busy machine. Without bounds they take from minutes to days.
const MOST_TIME: Duration = Duration::from_mins(1);
/// The most memory of the process of the tests. Without bounds it is gigabytes.
const MOST_MEMORY: u64 = 700 * 1024 * 1024;

/// The first problem, or the number of problems where there are more, of a change from nothing to these files.
fn refused(kind: RepositoryKind, new: Files<'_>) -> String {
    bounded(|| match examined(kind, &[], new, &[]) {
        Ok(impact) => format!("valid: {}", names(&impact.affected)),
        Err(problems) => {
            assert!(problems.iter().all(|problem| problem.to_string().len() < 4200));
            format!("{} problems, the first: {}", problems.len(), problems[0])
        }
    })
}

fn bounded<T>(work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    assert!(begin.elapsed() < MOST_TIME, "{:?}", begin.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak * 1024 < MOST_MEMORY, "{peak} kB");
    done
}

fn numbered(folder: &str, count: usize, name: &str) -> Vec<String> {
    (0..count)
        .map(|number| format!("{folder}{number}{name}"))
        .collect()
}

fn files<'a>(paths: &'a [String], mode: Mode, content: &'a str) -> Vec<(Mode, &'a str, &'a str)> {
    paths.iter().map(|path| (mode, path.as_str(), content)).collect()
}

#[test]
fn one_content_at_many_paths_is_read_and_checked_once() {
    let paths = numbered("devices/d", 1000, "/a.yml");
    let size = 4 * 1024 * 1024 - 16;
    let table = [
        (
            format!("? {}\n: 1\n", "k".repeat(size)),
            "a text has 4194288 bytes, more than the limit of 262144; split it",
        ),
        (
            format!("? {}\n: 1\n", "k".repeat(100_000)),
            "a key has 100000 bytes, more than the limit of 256; shorten it",
        ),
        (format!("a: !{} x\n", "t".repeat(size)), "unknown tag !tttt"),
        (format!("a: !{} []\n", "t".repeat(size)), "unknown tag !tttt"),
    ];
    for (content, expected) in &table {
        let tree = files(&paths, FILE, content);
        let listing = listing(&tree);
        let old = Listing::empty();
        let mut objects = Objects::of(&[&tree], &[]);
        let outcome = bounded(|| {
            examine(
                Settings,
                &Change::between(&old, &listing, &DeviceTypes::default()),
                &mut objects,
                &Cancellation::never(),
            )
            .unwrap()
        });
        let Examination::Invalid(problems) = outcome else {
            panic!("it is valid")
        };
        let problem = problems[0].to_string();
        assert!(problems.len() == 1 && problem.contains(expected), "{problem}");
        assert!(
            problem.ends_with("; 999 other files have the same content") && problem.len() < 2000,
            "{problem}"
        );
        assert_eq!(objects.read.len(), 1, "read once");
    }
}

#[test]
fn problems_are_bounded_in_number() {
    let mut all = Vec::new();
    for number in 0..300 {
        let keys: Vec<String> = (0..500)
            .map(|key| format!("ntp_server{number}_{key}: 1"))
            .collect();
        all.push((format!("access/{number}.yml"), keys.join("\n")));
    }
    let tree: Vec<_> = all
        .iter()
        .map(|(path, text)| (FILE, path.as_str(), text.as_str()))
        .collect();
    let outcome = refused(Settings, &tree);
    assert!(outcome.starts_with("1000 problems"), "{outcome}");
    let keys: Vec<String> = (0..5000)
        .map(|key| format!("  {}{key:04}: any", "k".repeat(40)))
        .collect();
    let declarations = format!("extra_keys:\n{}\n", keys.join("\n"));
    let outcome = refused(Settings, &[(FILE, "lockstep.yml", &declarations)]);
    assert!(
        outcome.contains("extra_keys has more keys than the limit of 500"),
        "{outcome}"
    );
}

#[test]
fn a_map_that_is_merged_many_times_shares_its_keys() {
    let mut text = String::from("x: &x\n");
    for key in 0..400 {
        writeln!(text, "  {}{key:03}: 1", "k".repeat(250)).unwrap();
    }
    text.push_str("y:\n");
    text.push_str(&"- <<: *x\n".repeat(1200));
    let outcome = refused(
        Settings,
        &[
            (FILE, "lockstep.yml", "extra_keys: {x: any, y: any}"),
            (FILE, "access/a.yml", &text),
        ],
    );
    assert_eq!(outcome, "valid: ACCESS");
    text.push_str(&"- <<: *x\n".repeat(1200));
    let outcome = refused(Settings, &[(FILE, "access/a.yml", &text)]);
    assert!(outcome.contains("too many values"), "{outcome}");
}

#[test]
fn a_prefix_of_tags_is_not_copied_for_each_use() {
    let uses = "!a!x [],".repeat(200_000);
    let text = format!("%TAG !a! {}\n---\n[{uses}]\n", "p".repeat(2_000_000));
    let outcome = refused(Settings, &[(FILE, "access/a.yml", &text)]);
    assert!(
        outcome.starts_with("1 problems, the first: access/a.yml:3:"),
        "{outcome}"
    );
}

#[test]
fn groups_are_bounded_in_number_and_in_the_cost_of_their_regexes() {
    let groups = |regexes: &mut dyn Iterator<Item = String>| {
        let lines = regexes.enumerate().map(|(number, regex)| {
            format!("- group: {{name: G{number}, regex: '{regex}', group_priority: 9}}\n")
        });
        format!("groups:\n{}", lines.collect::<String>())
    };
    let table: [(String, &str); 6] = [
        (
            groups(&mut (0..50_000).map(|_| String::new())),
            "there are 50000 groups, more than the limit of 5000",
        ),
        (
            groups(&mut std::iter::once("a".repeat(200_000))),
            ":2:17: the regex of group G0 has 200000 bytes, more than the limit of 8192",
        ),
        (
            groups(&mut std::iter::once("[ä-ö]{9999}".to_owned())),
            ":2:17: the regex of group G0 has more than the limit of 262144 bytes when it is compiled",
        ),
        // Unicode tables, each under the limit.
        (groups(&mut (0..400).map(|_| "\\p{L}{5}|ä".to_owned())), "valid: "),
        (
            groups(&mut (0..400).map(|_| "\\w{90}\\W{90}\\d{90}".to_owned())),
            "valid: ",
        ),
        (groups(&mut (0..2000).map(|_| "(".to_owned())), "100 problems"),
    ];
    for (text, expected) in table {
        let outcome = refused(Settings, &[(FILE, "global/groups.yml", &text)]);
        assert!(outcome.contains(expected), "{expected}: {outcome}");
    }
    // The names are compared by their hashes: within a second, not in minutes.
    let devices = "- {name: G, devices: []}\n".repeat(5000);
    let outcome = refused(
        Settings,
        &[(FILE, "global/groups.yml", &format!("groups:\n{devices}"))],
    );
    assert!(
        outcome.contains("100 problems") && outcome.contains("defined twice"),
        "{outcome}"
    );
}

#[test]
fn matching_has_one_budget_for_all_groups_and_devices() {
    let mut text = String::from("groups:\n");
    for number in 0..60 {
        writeln!(
            text,
            "- group: {{name: G{number}, regex: '(?:(a|aa)+)+\\1-b{number}$', group_priority: 9}}"
        )
        .unwrap();
    }
    text.push_str("- group: {name: LAST, regex: 'sw', group_priority: 2}\n");
    let impact = examined(Settings, &[], &[(FILE, "global/groups.yml", &text)], &[]).unwrap();
    let mut hostnames: Vec<lockstep_protocol::Hostname> = (0..3000)
        .map(|number| format!("{}-{number}", "a".repeat(30)).parse().unwrap())
        .collect();
    hostnames.push("sw1".parse().unwrap());
    let hostnames: Vec<_> = hostnames.iter().collect();
    // A tenth of the budget, because a debug build is slow.
    let steps = crate::bounds::MOST_STEPS_OF_MATCHING / 10;
    let primaries = bounded(|| {
        impact
            .groups
            .primaries_within(steps, &hostnames, &Cancellation::never())
    });
    assert_eq!(primaries.len(), 3001);
    assert!(
        primaries[..3000].iter().all(Result::is_err),
        "unknown, so the devices are flagged"
    );
    let error = primaries[0].as_ref().unwrap_err().to_string();
    assert!(
        error.contains("the regex of group G0 takes too many steps"),
        "{error}"
    );
}

#[test]
fn links_are_bounded_in_number_and_length_and_in_what_they_lead_through() {
    let paths = numbered("devices/d", 20, "/a.yml");
    let outcome = refused(Settings, &files(&paths, LINK, &"x".repeat(3_000_000)));
    assert!(outcome.starts_with("20 problems"), "{outcome}");
    assert!(
        outcome.contains("a link with a target of 3000000 bytes, more than the limit of 4096"),
        "{outcome}"
    );
    let outcome = refused(Settings, &files(&paths, LINK, &"x".repeat(4000)));
    assert!(
        outcome.contains("there is no such file") && outcome.len() < 500,
        "{outcome}"
    );

    let paths = numbered("l/", MOST_LINKS + 1, "");
    let outcome = refused(Settings, &files(&paths, LINK, "x"));
    assert!(
        outcome.contains("more symbolic links than the limit of 10000"),
        "{outcome}"
    );

    // A chain, each link of which goes up and down again a thousand times.
    let targets: Vec<String> = (0..2000)
        .map(|number| format!("{}{}", "../l/".repeat(800), number + 1))
        .collect();
    let paths = numbered("devices/d", 2000, ".yml");
    let tree: Vec<_> = paths
        .iter()
        .zip(&targets)
        .map(|(path, target)| (LINK, path.as_str(), target.as_str()))
        .collect();
    let outcome = refused(Settings, &tree);
    assert!(
        outcome.contains("through more than 256 folders and links"),
        "{outcome}"
    );

    // A chain as long as may be, deep in the tree.
    let folder = "f/".repeat(50);
    let targets: Vec<String> = (1..=2000).map(|number| format!("{number}.yml")).collect();
    let paths: Vec<String> = (0..2000)
        .map(|number| format!("access/{folder}{number}.yml"))
        .collect();
    let tree: Vec<_> = paths
        .iter()
        .zip(&targets)
        .map(|(path, target)| (LINK, path.as_str(), target.as_str()))
        .collect();
    let outcome = refused(Settings, &tree);
    assert!(outcome.starts_with("1000 problems"), "{outcome}");
}

#[test]
fn links_to_folders_do_not_multiply_paths() {
    let inside = numbered("shared/", 3000, ".yml");
    let links = numbered("devices/d", 3000, "");
    let mut tree = files(&inside, FILE, "ntp_servers: []\n");
    tree.extend(files(&links, LINK, "../shared"));
    let outcome = refused(Settings, &tree);
    assert!(outcome.starts_with("valid: d0, d1"), "{outcome}");

    let platforms = numbered("p", 900, "");
    let mut tree = files(&platforms, LINK, "shared");
    tree.extend(files(&inside, FILE, ""));
    tree.push((FILE, "shared/mapping.yml", "ACCESS: {entrypoint: 1.yml}"));
    let outcome = refused(Templates, &tree);
    assert!(
        outcome.contains("give changed files more than 250000 further paths"),
        "{outcome}"
    );
}

#[test]
fn mappings_are_bounded_in_number_and_in_the_cost_of_their_patterns() {
    let platforms = numbered("p", 1001, "/mapping.yml");
    let outcome = refused(Templates, &files(&platforms, FILE, "{}"));
    assert!(
        outcome.contains("more platforms than the limit of 1000"),
        "{outcome}"
    );
    let outcome = refused(
        Templates,
        &files(&platforms[..900], FILE, "ACCESS: {entrypoint: a}"),
    );
    assert!(outcome.starts_with("valid: "), "{outcome}");

    let dependencies: Vec<String> = (0..1001).map(|number| format!("a{number}")).collect();
    let text = format!(
        "ACCESS: {{entrypoint: a, dependencies: [{}]}}",
        dependencies.join(",")
    );
    let outcome = refused(Templates, &[(FILE, "eos/mapping.yml", &text)]);
    assert!(
        outcome.contains("1001 dependencies, more than the limit of 1000"),
        "{outcome}"
    );

    let pattern = format!("{}b", "a*".repeat(200));
    let dependencies: Vec<String> = (0..1000).map(|number| format!("'{pattern}{number}'")).collect();
    let text = format!(
        "ACCESS: {{entrypoint: a, dependencies: [{}]}}",
        dependencies.join(",")
    );
    let templates = numbered(&format!("eos/{}", "a".repeat(900)), 5000, ".j2");
    let mut tree = files(&templates, FILE, "");
    tree.push((FILE, "eos/mapping.yml", &text));
    let outcome = refused(Templates, &tree);
    assert!(
        outcome.contains("eos/mapping.yml: matching all changed paths"),
        "{outcome}"
    );
}

/// A repository of which only the sizes are known.
struct Huge(u64);

impl ReadObjects for Huge {
    type Error = String;

    fn sizes(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, u64>, String> {
        Ok(objects
            .iter()
            .map(|object| (object.clone(), 4 * 1024 * 1024))
            .collect())
    }

    fn contents(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, Vec<u8>>, String> {
        assert!(objects.len() <= 2, "8 MiB at a time");
        self.0 += objects.len() as u64;
        Ok(objects
            .iter()
            .map(|object| (object.clone(), b"ntp_servers: []".to_vec()))
            .collect())
    }
}

#[test]
fn an_examination_reads_a_bounded_number_of_bytes_a_few_at_a_time() {
    let texts: Vec<String> = (0..400).map(|number| number.to_string()).collect();
    let paths = numbered("access/", 400, ".yml");
    let tree: Vec<_> = paths
        .iter()
        .zip(&texts)
        .map(|(path, text)| (FILE, path.as_str(), text.as_str()))
        .collect();
    let new = listing(&tree);
    let old = Listing::empty();
    let mut huge = Huge(0);
    let outcome = examine(
        Settings,
        &Change::between(&old, &new, &DeviceTypes::default()),
        &mut huge,
        &Cancellation::never(),
    )
    .unwrap();
    let Examination::Invalid(problems) = outcome else {
        panic!("it is valid")
    };
    assert_eq!(huge.0 * 4 * 1024 * 1024, MOST_TOTAL_BYTES);
    assert_eq!(problems.len(), 144);
    assert!(
        problems[0]
            .reason
            .contains("the limit of 1073741824 bytes together"),
        "{}",
        problems[0]
    );
}

#[test]
fn a_cancelled_examination_ends_without_an_outcome() {
    let texts: Vec<String> = (0..2000).map(|number| format!("x{number}: 1")).collect();
    let paths = numbered("access/", 2000, ".yml");
    let tree: Vec<_> = paths
        .iter()
        .zip(&texts)
        .map(|(path, text)| (FILE, path.as_str(), text.as_str()))
        .collect();
    let new = listing(&tree);
    let old = Listing::empty();
    for after in [0, 1, 5, 20] {
        let asked = std::cell::Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            asked.get() > after
        };
        let mut objects = Objects::of(&[&tree], &[]);
        let ended = examine(
            Settings,
            &Change::between(&old, &new, &DeviceTypes::default()),
            &mut objects,
            &Cancellation::new(&ask),
        );
        assert!(
            matches!(ended, Err(ExamineError::Cancelled(_))),
            "{after}: {ended:?}"
        );
        assert_eq!(asked.get(), after + 1, "not asked again");
    }
}

#[test]
fn a_cancelled_match_of_groups_ends() {
    let groups = "groups: [{group: {name: G, regex: '.*', group_priority: 9}}]";
    let impact = examined(Settings, &[], &[(FILE, "global/groups.yml", groups)], &[]).unwrap();
    let hostname = "sw1".parse().unwrap();
    let hostnames = vec![&hostname; 100_000];
    let asked = std::cell::Cell::new(0);
    let ask = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let primaries = impact.groups.primaries(&hostnames, &Cancellation::new(&ask));
    let matched = primaries
        .iter()
        .filter(|primary| **primary != Ok(&"DEFAULT".to_owned().try_into().unwrap()));
    assert!(matched.count() < 1000);
}
