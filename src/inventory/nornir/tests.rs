mod against_nornir;

use serde_json::json;

use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn values_come_from_host_groups_and_defaults_in_nornirs_order() {
    let folder = folder(&[
        (
            "hosts.yaml",
            "sw1:\n  hostname: 192.0.2.1\n  password: secret\n  groups: [leaf]\n  data: {serial: S1, infra_ip: 10.199.1.1}\nsw2:\n  platform: junos\n  hostname: sw2.example.org\n  data: {device_type: core}\nap1:\n  data: {role: access, controller: sw1}\n",
        ),
        (
            "groups.yaml",
            "leaf:\n  groups: [campus]\n  data: {role: access, site: lund}\ncampus:\n  data: {role: dist, vendor: Arista, site: oslo}\nempty:\n",
        ),
        (
            "defaults.yaml",
            "platform: eos\ndata: {vendor: Nobody, ntp: [10.0.0.1]}\n",
        ),
    ]);
    let inventory = read(folder.path(), None, &DeviceTypes::default()).unwrap();
    let devices: Vec<Value> = inventory
        .entries
        .iter()
        .map(|entry| serde_json::to_value(&entry.device).unwrap())
        .collect();
    let expected = [
        json!({
            "hostname": "ap1", "device_type": "ACCESS", "platform": "eos", "vendor": "Nobody", "controller": "sw1",
            "data": {"ntp": ["10.0.0.1"], "role": "access"},
        }),
        json!({
            "hostname": "sw1", "device_type": "ACCESS", "platform": "eos", "management_ip": "192.0.2.1", "serial": "S1",
            "vendor": "Arista", "groups": ["leaf", "campus"],
            "data": {"infra_ip": "10.199.1.1", "ntp": ["10.0.0.1"], "role": "access", "site": "lund"},
        }),
        json!({
            "hostname": "sw2", "device_type": "CORE", "platform": "junos", "vendor": "Nobody",
            "data": {"management_host": "sw2.example.org", "ntp": ["10.0.0.1"]},
        }),
    ];
    assert_eq!(devices, expected);
    assert_eq!(
        read(&folder.path().join("hosts.yaml"), None, &DeviceTypes::default()).unwrap(),
        inventory
    );
}

#[test]
fn a_cycle_of_groups_is_named() {
    let table = [
        (
            "a: {groups: [b]}\nb: {groups: [c]}\nc: {groups: [b]}\n",
            Some("b → c → b"),
        ),
        ("a: {groups: [a]}\n", Some("a → a")),
        (
            "a: {groups: [b, c]}\nb: {groups: [d]}\nc: {groups: [d]}\nd:\n",
            None,
        ),
    ];
    for (groups, cycle) in table {
        let folder = folder(&[
            ("hosts.yaml", "sw1: {data: {role: access}}\n"),
            ("groups.yaml", groups),
        ]);
        let problem = read(folder.path(), None, &DeviceTypes::default())
            .err()
            .map(|error| error.to_string());
        assert_eq!(problem.is_some(), cycle.is_some(), "{groups}{problem:?}");
        if let (Some(problem), Some(cycle)) = (problem, cycle) {
            assert!(
                problem.contains("groups.yaml: ") && problem.contains(cycle),
                "{problem}"
            );
        }
    }
}

#[test]
fn problems_name_the_host_and_the_fix() {
    let folder = folder(&[(
        "hosts.yaml",
        "sw1:\nsw2: {data: {role: leaf}}\nsw3: {groups: [gone]}\nsw4: {data: {device_type: leaf switch}}\n",
    )]);
    let problems = read(folder.path(), None, &DeviceTypes::default()).unwrap_err().0;
    let expected = [
        "host sw1: has neither data.device_type nor data.role; set data.device_type",
        "host sw2: data.role is \"leaf\", which is no device type of this site",
        "host sw3: there is no group \"gone\"; add it to the file of groups",
        "host sw4: data.device_type is \"leaf switch\", must be a type such as UNKNOWN, ACCESS",
    ];
    assert_eq!(problems.len(), expected.len());
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}");
    }
    assert!(problems[0].contains("--default-type ACCESS"));
    let rest = read(folder.path(), Some(DeviceType::ACCESS), &DeviceTypes::default())
        .unwrap_err()
        .0;
    assert_eq!(rest.len(), 2, "{rest:?}");
}

fn read_all(files: &[(&str, &str)]) -> Result<Inventory, InventoryError> {
    read(
        folder(files).path(),
        Some(DeviceType::ACCESS),
        &DeviceTypes::default(),
    )
}

fn problems_of(files: &[(&str, &str)]) -> String {
    read_all(files).unwrap_err().0.join("\n")
}

fn data(inventory: &Inventory, index: usize) -> Value {
    json!(inventory.entries[index].device.data)
}

#[test]
fn what_nornir_ends_with_a_traceback_for_is_explained() {
    let table: [(&[(&str, &str)], &str); 9] = [
        (
            &[("hosts.yaml", "h1: {groups: [a]}\n")],
            "hosts.yaml: host h1: there is no group \"a\"; add it to the file of groups",
        ),
        (
            &[("hosts.yaml", "h1:\n"), ("groups.yaml", "a: {groups: [b]}\n")],
            "groups.yaml: group a: there is no group \"b\"",
        ),
        (
            &[
                ("hosts.yaml", "h1: {groups: [a]}\n"),
                ("groups.yaml", "a: {groups: [b]}\nb: {groups: [a]}\n"),
            ],
            "groups.yaml: each of these groups is in the next: a → b → a",
        ),
        (
            &[("hosts.yaml", "h1: text\n")],
            "hosts.yaml: host h1: must be a map with keys",
        ),
        (&[("hosts.yaml", "- h1\n")], "hosts.yaml: must be a map of names"),
        (
            &[("hosts.yaml", "h1: {port: ssh}\n")],
            "hosts.yaml: host h1: port: invalid type: string \"ssh\"",
        ),
        (
            &[
                ("hosts.yaml", "h1:\n"),
                ("defaults.yaml", "connection_options: {napalm: {extras: []}}\n"),
            ],
            "defaults.yaml: connection_options.napalm.extras: invalid type: sequence",
        ),
        (
            &[("hosts.yaml", "h1: {}\nh1: {}\n")],
            "the key \"h1\" is there twice",
        ),
        (&[("groups.yaml", "a:\n")], "cannot read "),
    ];
    for (files, expected) in table {
        let problems = problems_of(files);
        assert!(problems.contains(expected), "{files:?}: {problems}");
    }
    // The problems of all files are told together.
    let problems = problems_of(&[
        ("hosts.yaml", "h1: {port: a}\nh2: {hostname: 7}\n"),
        ("groups.yaml", "g: {groups: 7}\n"),
        ("defaults.yaml", "data: 7\n"),
    ]);
    assert_eq!(problems.lines().count(), 4, "{problems}");
}

#[test]
fn groups_are_nested_to_a_bounded_depth() {
    let chain = |length: usize| {
        let link = |number: usize| format!("g{number}: {{groups: [g{}]}}\n", number + 1);
        let links: String = (0..length).map(link).collect();
        format!("{links}g{length}:\n")
    };
    let files = |groups: &str| read_all(&[("hosts.yaml", "h1: {groups: [g0]}\n"), ("groups.yaml", groups)]);
    assert_eq!(
        files(&chain(199)).unwrap().entries[0]
            .device
            .groups
            .as_ref()
            .unwrap()
            .len(),
        200
    );
    let problem = files(&chain(50_000)).unwrap_err().to_string();
    assert!(
        problem.contains("is below 200 others, which is the maximum"),
        "{problem}"
    );
}

#[test]
fn names_that_are_numbers_are_kept_as_they_are_written_and_hosts_may_be_empty() {
    let inventory = read_all(&[
        ("hosts.yaml", "1:\n007: {groups: [42]}\nh1:\n"),
        ("groups.yaml", "42:\n"),
    ]);
    let inventory = inventory.unwrap();
    let names: Vec<&str> = inventory
        .entries
        .iter()
        .map(|entry| entry.device.hostname.as_str())
        .collect();
    assert_eq!(names, ["007", "1", "h1"]);
    assert_eq!(json!(inventory.entries[0].device.groups), json!(["42"]));
}

#[test]
fn a_host_is_reached_as_its_connections_say() {
    let table = [
        (
            "{hostname: 192.0.2.1, port: 22}",
            Some("192.0.2.1"),
            json!({"port": 22}),
        ),
        (
            "{hostname: h1.example.org}",
            None,
            json!({"management_host": "h1.example.org"}),
        ),
        ("{hostname: H1}", None, json!(null)),
        ("{hostname: \"\"}", None, json!(null)),
        (
            "{hostname: 192.0.2.1, connection_options: {eapi: {port: 8443}, napalm: {port: 1}}}",
            Some("192.0.2.1"),
            json!({"management_port": 8443}),
        ),
        (
            "{platform: eos, connection_options: {napalm: {hostname: '2001:db8::1', port: 1, extras: {optional_args: {port: 8443}}}}}",
            Some("2001:db8::1"),
            json!({"management_port": 8443}),
        ),
        (
            "{platform: junos, connection_options: {napalm: {port: 830}}}",
            None,
            json!({}),
        ),
        ("{connection_options: {pyeapi: {port: 0}}}", None, json!({})),
        (
            "{hostname: h1.example.org, data: {management_host: h2, management_port: 1}}",
            None,
            json!({"management_host": "h2", "management_port": 1}),
        ),
    ];
    for (host, ip, expected) in table {
        let inventory = read_all(&[("hosts.yaml", &format!("h1: {host}\n"))]).unwrap();
        let device = &inventory.entries[0].device;
        let found = device.management_ip.map(|ip| ip.to_string());
        assert_eq!(found.as_deref(), ip, "{host}");
        let mut found = data(&inventory, 0);
        if let Some(found) = found.as_object_mut() {
            found.remove(CONNECTION_OPTIONS);
        }
        assert_eq!(found, expected, "{host}");
    }
    for address in ["user@h1", "192.0.2.1:443", "h1:443", "a b"] {
        let problems = problems_of(&[("hosts.yaml", &format!("h1: {{hostname: '{address}'}}\n"))]);
        let expected = format!("host h1: hostname: \"{address}\" is neither a host name nor an IP address");
        assert!(problems.contains(&expected), "{problems}");
    }
}

#[test]
fn connection_options_are_kept_without_secrets() {
    let inventory = read_all(&[
        (
            "hosts.yaml",
            "h1:
  username: admin
  password: p1
  groups: [eos]
  data: {enable_secret: kept, x: 1}
",
        ),
        (
            "groups.yaml",
            "eos: {password: p2, connection_options: {napalm: {platform: eos, password: p3, extras: {optional_args: {secret: p4, transport: https}}}}}\n",
        ),
        ("defaults.yaml", "password: p5\nsite: lund\n"),
    ]);
    let inventory = inventory.unwrap();
    let expected = json!({
        "enable_secret": "kept", "x": 1, "username": "admin",
        "connection_options": {
            "napalm": {"username": "admin", "platform": "eos", "extras": {"optional_args": {"transport": "https"}}},
        },
    });
    assert_eq!(data(&inventory, 0), expected);
    let text = format!("{inventory:?}");
    for secret in ["p1", "p2", "p3", "p4", "p5"] {
        assert!(!text.contains(&format!("\"{secret}\"")), "{secret}: {text}");
    }
    let [secrets, doubtful, unknown] = &inventory.warnings[..] else {
        panic!("{:?}", inventory.warnings)
    };
    assert!(
        secrets.starts_with("left out 5 secrets, such as passwords, "),
        "{secrets}"
    );
    assert!(
        secrets.contains("[devices.credentials]") && secrets.contains("hosts.yaml: host h1: password"),
        "{secrets}"
    );
    assert!(
        doubtful.ends_with("keys that seem to be secrets: enable_secret"),
        "{doubtful}"
    );
    assert!(
        unknown.starts_with("ignored keys that Nornir ignores, too: site;"),
        "{unknown}"
    );

    let problems = problems_of(&[(
        "hosts.yaml",
        "h1: {data: {connection_options: 7}, connection_options: {napalm: {port: 1}}}\n",
    )]);
    assert!(
        problems.contains("data.connection_options: is the place of"),
        "{problems}"
    );
}

#[test]
fn interfaces_of_another_form_stay_in_data() {
    let inventory = read_all(&[(
        "hosts.yaml",
        "h1: {data: {interfaces: [Ethernet1, {name: Ethernet2, configuration: {mtu: 9214}}]}}
h2: {data: {interfaces: {Ethernet1: {vlan: 7}}}}
h3: {data: {interfaces: [{name: Ethernet1, vlan: 7}]}}
",
    )]);
    let inventory = inventory.unwrap();
    let interfaces: Vec<usize> = inventory
        .entries
        .iter()
        .map(|entry| entry.interfaces.len())
        .collect();
    assert_eq!(interfaces, [2, 0, 0]);
    assert_eq!(
        data(&inventory, 1),
        json!({"interfaces": {"Ethernet1": {"vlan": 7}}})
    );
    assert_eq!(
        data(&inventory, 2),
        json!({"interfaces": [{"name": "Ethernet1", "vlan": 7}]})
    );
    assert!(
        inventory.warnings[0].contains("data.interfaces of 2 hosts is no list"),
        "{:?}",
        inventory.warnings
    );
}

#[test]
fn the_configuration_of_nornir_names_the_files() {
    let configuration = |section: &str| {
        folder(&[
            (
                "config.yaml",
                &format!("runner: {{plugin: threaded}}\ninventory: {section}\n"),
            ),
            ("h.yaml", "h1: {groups: [g]}\n"),
            ("g.yaml", "g: {platform: eos}\n"),
            ("d.yaml", "data: {x: 1}\n"),
        ])
    };
    let section = "{plugin: SimpleInventory, options: {host_file: h.yaml, group_file: g.yaml, defaults_file: d.yaml, encoding: UTF-8}}";
    let place = configuration(section);
    for path in [place.path().to_owned(), place.path().join("config.yaml")] {
        let inventory = read(&path, Some(DeviceType::ACCESS), &DeviceTypes::default()).unwrap();
        assert_eq!(inventory.entries[0].device.platform.as_deref(), Some("eos"));
        assert_eq!(data(&inventory, 0), json!({"x": 1}));
        assert_eq!(inventory.warnings, Vec::<String>::new());
    }

    let read = |section: &str| {
        read(
            configuration(section).path(),
            Some(DeviceType::ACCESS),
            &DeviceTypes::default(),
        )
    };
    let section = "{options: {host_file: h.yaml, group_file: g.yaml}, transform_function: load_credentials}";
    let warnings = read(section).unwrap().warnings;
    assert!(
        warnings[0].contains("load_credentials is a Python function, which is not run"),
        "{warnings:?}"
    );
    let table = [
        (
            "{plugin: NetBoxInventory2}",
            "inventory.plugin: is NetBoxInventory2, which is a program of its own",
        ),
        (
            "{options: {hosts: h.yaml}}",
            "inventory.options.hosts: unknown field `hosts`",
        ),
        (
            "{options: {host_file: h.yaml, encoding: utf-16}}",
            "inventory.options.encoding: is utf-16; save the files as UTF-8",
        ),
        ("{options: {host_file: gone.yaml}}", "cannot read "),
    ];
    for (section, expected) in table {
        let problem = read(section).unwrap_err().to_string();
        assert!(problem.contains(expected), "{section}: {problem}");
    }

    // A host may be called as the section is.
    let inventory = read_all(&[("hosts.yaml", "inventory: {hostname: 192.0.2.1}\n")]).unwrap();
    assert_eq!(inventory.entries[0].device.hostname.as_str(), "inventory");
}

#[test]
fn files_in_latin_1_are_read_if_the_configuration_says_so() {
    let place = folder(&[("config.yaml", "inventory: {options: {encoding: latin-1}}\n")]);
    std::fs::write(place.path().join("hosts.yaml"), b"h1: {data: {site: Malm\xf6}}\n").unwrap();
    let of = |name: &str| {
        read(
            &place.path().join(name),
            Some(DeviceType::ACCESS),
            &DeviceTypes::default(),
        )
    };
    assert_eq!(data(&of("config.yaml").unwrap(), 0), json!({"site": "Malmö"}));
    let problem = of("hosts.yaml").unwrap_err().to_string();
    assert!(
        problem.ends_with("hosts.yaml:1: is not UTF-8; save the file as UTF-8"),
        "{problem}"
    );
}

#[test]
fn the_options_of_the_defaults_count_before_those_of_a_later_group() {
    let username = |groups: &str, host: &str| {
        let inventory = read_all(&[
            (
                "hosts.yaml",
                &format!("h1: {{groups: [{groups}], port: 2222{host}}}\n"),
            ),
            (
                "groups.yaml",
                "g1:\ng2: {connection_options: {netconf: {username: from-g2}}}\n",
            ),
            (
                "defaults.yaml",
                "connection_options: {netconf: {username: from-defaults, port: 830}}\n",
            ),
        ]);
        let netconf = data(&inventory.unwrap(), 0)[CONNECTION_OPTIONS]["netconf"].take();
        (netconf["username"].clone(), netconf["port"].clone())
    };
    let table = [
        ("g1, g2", "", "from-defaults", 830),
        ("g2, g1", "", "from-g2", 830),
        ("g2", ", connection_options: {netconf: {username: ''}}", "", 830),
        ("g2", ", connection_options: {netconf: {port: 0}}", "from-g2", 0),
    ];
    for (groups, host, expected, port) in table {
        assert_eq!(
            username(groups, host),
            (json!(expected), json!(port)),
            "{groups}{host}"
        );
    }
}
