//! What Lockstep resolves is what Nornir resolves: of inventories in `tests/inventories`, and of random ones.

use std::path::{Path, PathBuf};
use std::process::Command;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use super::super::files::Files;
use super::super::load;

const NORNIR: &str = "nornir==3.6.0";

/// What Nornir resolves of the inventories in the folders below this one.
fn by_nornir(folder: &Path) -> Value {
    // The folder of the build, such as `target`, keeps the environment for the next run.
    let program = std::env::current_exe().unwrap();
    let kept = program.ancestors().nth(3).unwrap().join("tmp");
    let python = lockstep_testbed::python_with(&kept, &[NORNIR]).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inventories/resolve.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What Lockstep resolves of one inventory.
fn by_lockstep(folder: &Path, connections: &[String]) -> Value {
    let (hosts, parents, _) = load(&Files::of(folder).unwrap()).unwrap();
    let resolved = hosts.iter().map(|(name, host)| {
        let host = parents.resolve(name, host).unwrap();
        let parameters = connections.iter().map(|connection| {
            let options = host.parameters(connection);
            let value = json!({
                "hostname": options.hostname, "port": options.port, "username": options.username,
                "platform": options.platform, "extras": options.extras.unwrap_or_default(),
            });
            (connection.clone(), value)
        });
        let value = json!({
            "hostname": host.hostname, "port": host.port, "username": host.username, "platform": host.platform,
            "groups": host.groups, "data": host.data, "connections": parameters.collect::<Map<_, _>>(),
        });
        (name.clone(), value)
    });
    Value::Object(resolved.collect())
}

/// Compares all inventories below a folder. Returns how many hosts there are.
fn compare(folder: &Path) -> usize {
    let expected = by_nornir(folder);
    let mut count = 0;
    for (name, expected) in expected.as_object().unwrap() {
        let hosts = expected.as_object().unwrap();
        count += hosts.len();
        let connections = hosts.values().next().map(|host| &host["connections"]);
        let connections = connections.and_then(Value::as_object).into_iter().flatten();
        let connections: Vec<String> = connections.map(|(name, _)| name.clone()).collect();
        let found = by_lockstep(&folder.join(name), &connections);
        for (host, expected) in hosts {
            assert_eq!(&found[host], expected, "{name}: {host}");
        }
        assert_eq!(found.as_object().unwrap().len(), hosts.len(), "{name}");
    }
    count
}

#[test]
fn written_inventories_are_resolved_as_by_nornir() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inventories");
    assert_eq!(compare(&folder), 5 + 12 + 4);
}

#[test]
fn random_inventories_are_resolved_as_by_nornir() {
    const INVENTORIES: u64 = 300;
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..INVENTORIES {
        let place = folder.path().join(format!("{seed:03}"));
        write(&place, &mut StdRng::seed_from_u64(seed));
    }
    let hosts = compare(folder.path());
    assert!(hosts > 1000, "{hosts} hosts");
}

fn write(place: &PathBuf, random: &mut StdRng) {
    std::fs::create_dir(place).unwrap();
    let groups = random.random_range(0..8);
    // A group is in groups of higher numbers only, so there is no cycle.
    let of_groups: Map<String, Value> = (0..groups)
        .map(|number| (group(number), element(random, number + 1..groups)))
        .collect();
    let of_hosts: Map<String, Value> = (0..random.random_range(1..8))
        .map(|number| (format!("h{number}"), element(random, 0..groups)))
        .collect();
    let mut files = vec![("hosts", of_hosts)];
    if groups > 0 || random.random_bool(0.5) {
        files.push(("groups", of_groups));
    }
    if random.random_bool(0.8) {
        let Value::Object(mut defaults) = element(random, 0..0) else {
            unreachable!("an element is a map")
        };
        defaults.remove("groups");
        files.push(("defaults", defaults));
    }
    for (name, contents) in files {
        let text = serde_norway::to_string(&contents).unwrap();
        std::fs::write(place.join(format!("{name}.yaml")), text).unwrap();
    }
}

fn group(number: u32) -> String {
    format!("g{number}")
}

/// A host, a group or the defaults, in some of these groups.
fn element(random: &mut StdRng, groups: std::ops::Range<u32>) -> Value {
    let mut fields = attributes(random);
    let mut parents = Vec::new();
    if !groups.is_empty() {
        for _ in 0..random.random_range(0..4) {
            parents.push(group(random.random_range(groups.clone())));
        }
    }
    fields.insert("groups".to_owned(), json!(parents));
    if random.random_bool(0.8) {
        let data: Map<String, Value> = (0..random.random_range(0..6))
            .map(|_| (format!("k{}", random.random_range(0..8)), datum(random)))
            .collect();
        fields.insert("data".to_owned(), data.into());
    }
    if random.random_bool(0.7) {
        let connections: Map<String, Value> = (0..random.random_range(0..3))
            .map(|_| {
                let mut options = attributes(random);
                let extras = [
                    json!(null),
                    json!({}),
                    json!({"a": random.random_range(0..9)}),
                    json!({"b": {"c": [1]}}),
                ];
                let at = random.random_range(0..=extras.len());
                if let Some(extras) = extras.get(at) {
                    options.insert("extras".to_owned(), extras.clone());
                }
                (format!("c{}", random.random_range(0..3)), options.into())
            })
            .collect();
        fields.insert("connection_options".to_owned(), connections.into());
    }
    fields.into()
}

/// Each attribute is absent, null, empty or zero, or has a value of its own.
fn attributes(random: &mut StdRng) -> Map<String, Value> {
    let mut fields = Map::new();
    for name in ["hostname", "port", "username", "platform"] {
        let number = random.random_range(1..1000);
        let value = match random.random_range(0..8) {
            0..3 => continue,
            3..5 => json!(null),
            5 if name == "port" => json!(0),
            5 => json!(""),
            _ if name == "port" => json!(number),
            _ => json!(format!("{name}{number}")),
        };
        fields.insert(name.to_owned(), value);
    }
    fields
}

fn datum(random: &mut StdRng) -> Value {
    match random.random_range(0..9) {
        0 | 1 => json!(null),
        2 => json!(false),
        3 => json!(0),
        4 => json!(""),
        5 => json!({"x": {"y": random.random_range(0..9)}}),
        6 => json!([1, "two", null]),
        7 => json!(1.5),
        _ => json!(random.random_range(0..1000)),
    }
}
