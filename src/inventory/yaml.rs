use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::surroundings::{self, Surroundings};
use super::{Entry, Inventory, InventoryError, document, entry, gather};

/// The keys of a file that has more than devices.
pub(super) const KEYS: [&str; 3] = ["devices", "links", "management_domains"];

/// Reads a YAML list of devices, or a map of `devices`, `links` and `management_domains`. Problems begin with the name of the `file`.
///
/// # Errors
/// All problems: a syntax error with line and column, others with the entry and its hostname.
pub(crate) fn read(file: &str, text: &str) -> Result<Inventory, InventoryError> {
    let mut map = match parse(file, text)? {
        Value::Array(items) => Map::from_iter([("devices".to_owned(), items.into())]),
        Value::Null => Map::new(),
        Value::Object(map) if map.keys().any(|key| KEYS.contains(&key.as_str())) => map,
        _ => {
            let problem = format!(
                "{file}: must be a list of devices (- hostname: …), or a map with the keys {}; --from nornir reads a Nornir inventory",
                KEYS.join(", ")
            );
            return Err(InventoryError::one(problem));
        }
    };
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let [devices, links, domains] = KEYS.map(|key| match map.remove(key) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => {
            problems.push(format!("{file}: {key}: must be a list"));
            Vec::new()
        }
    });
    if !map.is_empty() {
        let unknown: Vec<String> = map.into_iter().map(|(key, _)| key).collect();
        warnings.push(format!("{file}: ignored unknown keys: {}", unknown.join(", ")));
    }
    let results: Vec<_> = devices
        .into_iter()
        .enumerate()
        .map(|(index, item)| one(file, index, item, &mut warnings))
        .collect();
    let surroundings = Surroundings {
        links: between(&format!("{file}: link"), links, &mut problems),
        management_domains: between(&format!("{file}: management domain"), domains, &mut problems),
    };
    let entries = gather(results).unwrap_or_else(|error| {
        problems.splice(0..0, error.0);
        Vec::new()
    });
    let (links, management_domains) = surroundings.checked(problems)?;
    Ok(Inventory {
        entries,
        links,
        management_domains,
        warnings,
    })
}

/// Reads links or management domains, which have the form of the messages.
fn between<T: DeserializeOwned>(
    what: &str,
    items: Vec<Value>,
    problems: &mut Vec<String>,
) -> Vec<(String, T)> {
    let mut read = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let place = format!("{what} {}", index + 1);
        match surroundings::read(item) {
            Ok(item) => read.push((place, item)),
            Err(problem) => problems.push(format!("{place}: {problem}")),
        }
    }
    read
}

/// Parses YAML, or JSON. An error has the line and the column.
pub(super) fn parse(file: &str, text: &str) -> Result<Value, InventoryError> {
    if let Some(value) = document::json(file, text)? {
        return Ok(value);
    }
    let value = document::yaml(file, text)?;
    // Other fields are read as they are written; a configuration is what CNaaS NMS would read.
    let ambiguous =
        lockstep_intent::ambiguous_words(text, "configuration", |word| serde_norway::from_str(word).ok());
    let problem = |word: &lockstep_intent::AmbiguousWord| {
        let lockstep_intent::AmbiguousWord {
            line,
            column,
            word,
            meaning,
        } = word;
        format!(
            "{file}:{line}:{column}: {word} is {meaning} to CNaaS NMS, and something else to other readers of YAML; write a number in decimal, true or false, or put text in quotes"
        )
    };
    match ambiguous.iter().map(problem).collect::<Vec<_>>() {
        problems if problems.is_empty() => Ok(value),
        problems => Err(InventoryError(problems)),
    }
}

fn one(file: &str, index: usize, item: Value, warnings: &mut Vec<String>) -> Result<(String, Entry), String> {
    let mut place = format!("{file}: entry {}", index + 1);
    let Value::Object(fields) = item else {
        return Err(format!(
            "{place}: must be a map with at least hostname and device_type"
        ));
    };
    if let Some(hostname) = hostname(&fields) {
        place = format!("{place} ({hostname})");
    }
    let unknown = entry::unknown(&fields);
    if !unknown.is_empty() {
        warnings.push(format!("{place}: ignored unknown fields: {}", unknown.join(", ")));
    }
    match entry::read(fields) {
        Ok(entry) => Ok((place, entry)),
        Err(problem) => Err(format!("{place}: {problem}")),
    }
}

fn hostname(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("hostname")?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        read("fleet.yml", text).unwrap_err().0
    }

    #[test]
    fn entries_are_read_in_any_notation() {
        let text = "
- hostname: sw1
  device_type: access
  platform: eos
  state: managed
  synchronized: true
  management_ip: 192.0.2.1
  mac: 444c.a800.0001
  serial: 12345
  groups: [campus, 42]
  interfaces: [Ethernet1, {name: Ethernet2, configuration: {vlan: 7}}]
- {hostname: sw2, device_type: DIST, color: odd, model: null, causes: [], note: 7, until: 2026-03-01T08:00:00Z}
";
        let inventory = read("fleet.yml", text).unwrap();
        let first = &inventory.entries[0];
        let device = serde_json::to_value(&first.device).unwrap();
        let expected = json!({
            "hostname": "sw1", "device_type": "ACCESS", "platform": "eos", "state": "MANAGED", "synchronized": true,
            "management_ip": "192.0.2.1", "mac": "44:4c:a8:00:00:01", "serial": "12345", "groups": ["campus", "42"],
        });
        assert_eq!(device, expected);
        assert_eq!(first.interfaces.len(), 2);
        assert_eq!(first.interfaces[1].configuration, Some(json!({"vlan": 7})));
        assert_eq!(
            serde_json::to_value(&inventory.entries[1].device).unwrap(),
            json!({"hostname": "sw2", "device_type": "DIST", "note": "7", "until": "2026-03-01T08:00:00Z"})
        );
        assert_eq!(
            inventory.warnings,
            ["fleet.yml: entry 2 (sw2): ignored unknown fields: color"]
        );
        assert_eq!(read("fleet.yml", "").unwrap().entries, []);
    }

    #[test]
    fn words_that_look_like_numbers_are_text_where_text_is_expected() {
        let text = "- {hostname: sw1, device_type: ACCESS, serial: 010, mac: 44:10:20:30:40:50, model: 1_000, groups: [010, 0o7],
  interfaces: [{name: e1, configuration: {a: 10, b: '010', c: true, d: x, e: 1.5, f: null, g: 0x10}}]}";
        let entry = &read("fleet.yml", text).unwrap().entries[0];
        let device = serde_json::to_value(&entry.device).unwrap();
        assert_eq!(device["serial"], "010");
        assert_eq!(device["mac"], "44:10:20:30:40:50");
        assert_eq!(device["model"], "1_000");
        let expected = json!({"a": 10, "b": "010", "c": true, "d": "x", "e": 1.5, "f": null, "g": 16});
        assert_eq!(entry.interfaces[0].configuration, Some(expected));
    }

    #[test]
    fn json_is_read_with_all_its_escapes() {
        let text = r#"[{"hostname": "sw1", "device_type": "ACCESS", "note": "\ud83d\ude00 \/ \u00e4"}]"#;
        let inventory = read("l.json", text).unwrap();
        assert_eq!(inventory.entries[0].device.note.as_deref(), Some("😀 / ä"));
    }

    #[test]
    fn every_problem_names_its_place() {
        let table = [
            (
                "- {hostname: sw1}",
                "entry 1 (sw1): device_type is missing; expected one such as UNKNOWN, ACCESS",
            ),
            ("- {device_type: ACCESS}", "entry 1: missing field `hostname`"),
            (
                "- {hostname: sw1, device_type: spine switch}",
                "entry 1 (sw1): device_type: \"SPINE SWITCH\" is not a device type",
            ),
            (
                "- {hostname: a_b, device_type: ACCESS}",
                "entry 1 (a_b): hostname: \"a_b\" is not a hostname",
            ),
            (
                "- {hostname: sw1, device_type: ACCESS, management_ip: here}",
                "entry 1 (sw1): management_ip: invalid IP",
            ),
            (
                "- {hostname: sw1, device_type: ACCESS, interfaces: [{speed: 1}]}",
                "interfaces[0].name: must be text",
            ),
            (
                "- {hostname: sw1, device_type: ACCESS, interfaces: [{name: e1, configuration: {untagged_vlan: 010}}]}",
                "fleet.yml:1:95: 010 is 8 to CNaaS NMS, and something else to other readers of YAML",
            ),
            (
                "- {hostname: sw1, device_type: ACCESS, data: {management_host: 'a b'}}",
                "entry 1 (sw1): data.management_host: \"a b\" must be a host name or an IP address",
            ),
            (
                "- {hostname: sw1, device_type: ACCESS, data: {management_port: 65536}}",
                "entry 1 (sw1): data.management_port: 65536 must be a number from 1 to 65535",
            ),
            ("- sw1", "entry 1: must be a map with at least"),
            ("hosts: {}", "fleet.yml: must be a list"),
            ("- hostname: sw1\n  device_type: [", "fleet.yml:3:1: "),
            (
                "- {hostname: sw1, device_type: CORE}\n- {hostname: SW1, device_type: CORE}",
                "entry 2 (SW1): has the same hostname as fleet.yml: entry 1",
            ),
            (
                "- {hostname: sw1, device_type: CORE}\n- {hostname: sw1, device_type: CORE}",
                "entry 2 (sw1): has the same hostname as fleet.yml: entry 1",
            ),
        ];
        for (text, expected) in table {
            let problems = problems(text);
            assert_eq!(problems.len(), 1, "{text}");
            assert!(
                problems[0].contains(expected),
                "{text}\n{}\n{expected}",
                problems[0]
            );
        }
    }

    #[test]
    fn all_problems_are_reported_together() {
        let text = "- {hostname: sw1}\n- {hostname: sw2, device_type: CORE}\n- {hostname: sw3}\n";
        let error = read("fleet.yml", text).unwrap_err();
        assert_eq!(error.0.len(), 2);
        assert!(
            error
                .to_string()
                .starts_with("the inventory has 2 problems, nothing was imported:\n  fleet.yml: entry 1")
        );
    }

    #[test]
    fn a_map_has_devices_links_and_management_domains() {
        let text = "
devices:
  - {hostname: d1, device_type: DIST, data: {infra_ip: 10.199.1.1, nested: [1, {a: null}]}}
links:
  - a: {hostname: d1, interface: Ethernet1, address: 10.198.0.0/31}
    b: {hostname: c1, interface: Ethernet7}
management_domains:
  - {id: 4, device_a: d1, device_b: d2, ipv4_gw: 10.0.6.1/24, vlan: 600}
other: 7
";
        let inventory = read("fleet.yml", text).unwrap();
        assert_eq!(
            json!(inventory.entries[0].device.data),
            json!({"infra_ip": "10.199.1.1", "nested": [1, {"a": null}]})
        );
        let end = |hostname: &str, interface: &str| json!({"hostname": hostname, "interface": interface});
        let mut a = end("d1", "Ethernet1");
        a["address"] = json!("10.198.0.0/31");
        assert_eq!(
            json!(inventory.links),
            json!([{"a": a, "b": end("c1", "Ethernet7")}])
        );
        assert_eq!(
            json!(inventory.management_domains),
            json!([{"id": 4, "device_a": "d1", "device_b": "d2", "ipv4_gw": "10.0.6.1/24", "vlan": 600}])
        );
        assert_eq!(inventory.warnings, ["fleet.yml: ignored unknown keys: other"]);
        let only_links = "links: []\nmanagement_domains:\n";
        assert!(read("fleet.yml", only_links).unwrap().is_empty());
    }

    #[test]
    fn problems_of_all_kinds_are_reported_together_with_their_places() {
        let link = "{a: {hostname: d1, interface: E1}, b: {hostname: c1, interface: E1}}";
        let text = format!(
            "devices: [{{hostname: d1, device_type: DIST, data: [7]}}]\n\
             links: [{link}, {link}, {{a: {{hostname: d1}}}}]\n\
             management_domains: {{}}\n"
        );
        let expected = [
            "fleet.yml: entry 1 (d1): data: invalid type",
            "fleet.yml: management_domains: must be a list",
            "fleet.yml: link 3: a: missing field `interface`",
            "fleet.yml: link 2: ends at E1 of d1, as does fleet.yml: link 1",
            "fleet.yml: link 2: ends at E1 of c1, as does fleet.yml: link 1",
        ];
        let found = problems(&text);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
    }
}
