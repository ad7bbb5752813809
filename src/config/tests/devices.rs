use lockstep_intent::fleet::DeviceTypes;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{assert_reported, problems, read, write};
use crate::config::LateSecret;

#[test]
fn caps_and_logins_are_read_by_name() {
    let secret = write("hush of a file");
    let text = format!(
        "[worker]\nelements_at_once = 64\n[executions]\nat_once = 512\nelement_timeout = '90s'\n\
         [executions.at_once_per_provider]\ncommand = 10\n[executions.at_once_per_group]\n'Haus A.1' = 2\n\
         [devices.credentials.default]\nusername = 'u'\npassword_file = '{}'\n\
         [devices.credentials.groups.'Haus A.1']\nusername = 'g'\npassword_env = 'HAUS'\n\
         [devices.credentials.hosts.'sw1.example.org']\nusername = 'h'\npassword = 'hush'\nenable_password = 'hush'\n\
         [devices.credentials.hosts.sw1.username]\nusername = 'x'\npassword = 'hush'\n",
        secret.path().display()
    );
    let config = read(&text, &[("HAUS", "hush of Haus")]).unwrap();
    assert_eq!(config.worker.elements_at_once, 64);
    let executions = &config.executions;
    assert_eq!(
        (executions.at_once, executions.element_timeout.as_secs()),
        (std::num::NonZeroU32::new(512), 90)
    );
    assert_eq!(executions.at_once_per_provider["command"].get(), 10);
    assert_eq!(executions.at_once_per_group["Haus A.1"].get(), 2);
    let credentials = &config.devices.credentials;
    assert!(
        matches!(&credentials.default.as_ref().unwrap().password, LateSecret::File(path) if path == secret.path())
    );
    let LateSecret::Fixed(of_group) = &credentials.groups["Haus A.1"].password else {
        panic!("{credentials:?}");
    };
    assert_eq!(of_group.expose_secret(), "hush of Haus");
    assert!(credentials.hosts["sw1.example.org"].enable_password.is_some());
    let shown = &config.effective;
    assert_eq!(
        shown["devices"]["credentials"]["hosts"]["sw1.example.org"]["password"],
        "***"
    );
    assert_eq!(
        shown["devices"]["credentials"]["hosts"]["sw1.username"]["username"],
        "x"
    );
    assert_eq!(shown["executions"]["at_once_per_group"]["Haus A.1"], 2);
    let shown = toml::to_string_pretty(shown).unwrap();
    assert!(
        !shown.contains("hush") && !format!("{config:?}").contains("hush"),
        "{shown}"
    );
    assert_eq!(read("", &[]).unwrap().executions.at_once, None);
}

#[test]
fn problems_of_devices_and_caps_are_reported() {
    let text = "[executions]\nat_once = 0\nelement_timeout = '2d'\n[executions.at_once_per_group]\na = 'x'\n'b[0]' = 1\n\
        [devices]\ninsecure = true\nca_file = 'x'\nport = 0\n[devices.credentials.default]\nusername = 'u'\n\
        [devices.credentials.groups.g]\npassword = 'hush'\n[devices.credentials.hosts.h1]\nusername = 'u'\npassword = 'hush'\npassword_file = 'y'\n\
        [devices.credentials.hosts.h2]\nusername = 'u'\npassword_env = 'NOT_SET'\npasword = 'z'\n";
    let problems = problems(text, &[]);
    let expected = [
        ":2: executions.at_once: is 0, must be a whole number from 1 to 100000",
        ":5: executions.at_once_per_group.a: is \"x\", must be a whole number from 1 to 100000",
        ":6: executions.at_once_per_group.b[0]: is not below the name of something",
        ":3: executions.element_timeout: is \"2d\", must be a duration from 1s to 1d",
        ":10: devices.port: is 0, must be a whole number from 1 to 65535",
        ":12: devices.credentials.default.password: is missing; set password_file, password_env or password",
        ":14: devices.credentials.groups.g.username: is missing; set the user",
        "devices.credentials.hosts.h1.password: is set beside",
        "devices.credentials.hosts.h2.password_env: names the variable NOT_SET, which is not set",
        ":8: devices.insecure: is set beside ca_file",
        "devices.credentials.hosts.h2.pasword: unknown key; expected one of enable_password",
    ];
    assert_reported(&problems, &expected);
}

#[test]
fn a_site_declares_device_types() {
    let text = "[devices.types.SPINE]\ndirectory = 'spine'\nfabric = true\n[devices.types.leaf]\nglobal = false\n\
        [devices.types.FIREWALL]\ndirectory = 'fw'\n";
    let config = read(text, &[("LOCKSTEP__DEVICES__TYPES__OOB__DIRECTORY", "oob")]).unwrap();
    let types = &config.devices.types;
    let names: Vec<&str> = types.names().collect();
    assert_eq!(
        names,
        [
            "UNKNOWN", "ACCESS", "DIST", "CORE", "FIREWALL", "SPINE", "LEAF", "OOB"
        ]
    );
    let concerned = |folder: &[u8]| {
        let concerned = types.concerned_by(folder).unwrap_or_default();
        concerned
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(concerned(b"spine"), "SPINE");
    assert_eq!(concerned(b"oob"), "OOB");
    assert_eq!(concerned(b"leaf"), "");
    assert_eq!(concerned(b"fw"), "FIREWALL");
    assert_eq!(concerned(b"firewall"), "");
    assert_eq!(concerned(b"global"), "ACCESS CORE DIST FIREWALL OOB SPINE");
    assert_eq!(concerned(b"fabric"), "CORE DIST SPINE");
    let expected = json!({"directory": "spine", "fabric": true, "global": true});
    assert_eq!(config.effective["devices"]["types"]["SPINE"], expected);
    assert_eq!(read("", &[]).unwrap().devices.types, DeviceTypes::default());
}

#[test]
fn problems_of_device_types_are_reported() {
    let text = "[devices.types.'2X']\nglobal = true\n[devices.types.SPINE]\ndirectory = 'core'\n\
        [devices.types.LEAF]\ndirectory = 'devices'\n[devices.types.TOR]\nfolder = 'tor'\n[devices.types.POD]\nglobal = 'maybe'\n";
    let problems = problems(text, &[]);
    let expected = [
        ":2: devices.types.2X: \"2X\" is not a device type: 1 to 32 upper-case letters",
        ":4: devices.types.SPINE: core/ is the folder of CORE; each type has a folder of its own",
        ":6: devices.types.LEAF: devices/ has a meaning of its own in the settings repository",
        ":8: devices.types.TOR.folder: unknown section; expected one of",
        "devices.types.POD.global: is \"maybe\", must be",
    ];
    assert_reported(&problems, &expected);
}
