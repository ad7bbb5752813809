use std::collections::BTreeMap;
use std::path::Path;

use super::clusters::cluster;
use super::{read, read_file, write};
use crate::config::reader::Reader;
use crate::config::source::Settings;
use crate::config::{BrokerUrl, Config, Overrides, StoreUrl};
use crate::local_file::Origin;

#[test]
fn the_documented_example_shows_the_defaults() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/lockstep.toml");
    let config = read_file(&example, &[], Overrides::default()).unwrap();
    assert_eq!(
        config.effective,
        read("", &[]).unwrap().effective,
        "the example shows the defaults"
    );

    // Examples behind `#:` load, too.
    let text = std::fs::read_to_string(&example).unwrap();
    let config = read(&uncommented(&text), &[("BERLIN_PASSWORD", "hush")]).unwrap();
    assert!(matches!(config.broker.url, BrokerUrl::Amqp(_)));
    assert!(matches!(config.store.url, StoreUrl::Postgres(_)));
    assert_eq!(config.console.tokens.len(), 2);
    assert_eq!(config.gateway.tokens.len(), 1);
    assert_eq!(config.cvp.keys().collect::<Vec<_>>(), ["berlin", "cloud"]);
    let mut berlin = config.effective["cvp"]["berlin"].clone();
    let mut defaults =
        cluster("hosts = ['cvp1.example.org', 'cvp2.example.org']\nca_file = '/etc/lockstep/ca.pem'");
    for shown in [&mut berlin, &mut defaults] {
        shown["proxy"].take();
    }
    assert_eq!(berlin, defaults, "the example shows the defaults");
}

fn uncommented(example: &str) -> String {
    let lines = example
        .lines()
        .map(|line| line.strip_prefix("#:").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_documented_example_explains_every_key_with_its_bounds() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/lockstep.toml");
    let text = uncommented(&std::fs::read_to_string(example).unwrap());
    // Sections with a name have the same keys, which the example explains once.
    let general = |key: &str| {
        let key = key.replace("[0]", "").replace("[1]", "");
        let names = ["cvp.berlin.", "cvp.cloud.", "cvp.NAME."];
        let key = names.iter().fold(key, |key, name| key.replace(name, "cvp.*."));
        let key = ["rest.netbox.", "rest.monitoring.", "rest.NAME."]
            .iter()
            .fold(key, |key, name| key.replace(name, "rest.*."));
        let windows = ["freeze.year-end.", "freeze.core-nights."];
        let key = windows
            .iter()
            .fold(key, |key, name| key.replace(name, "freeze.*."));
        let key = key.replace("repositories.settings.", "repositories.*.");
        let key = key.replace("repositories.templates.", "repositories.*.");
        // So do the logins of groups, of devices and of all.
        let logins = [
            "default.",
            "groups.\"berlin\".",
            "hosts.\"sw1.example.org\".",
            "groups.berlin.",
        ];
        let logins = logins.iter().chain(&["hosts.sw1.example.org."]);
        let key = logins.fold(key, |key, login| {
            key.replace(&format!("devices.credentials.{login}"), "logins.*.")
        });
        key.replace("\"berlin\"", "berlin")
    };
    let mut explained = BTreeMap::new();
    let (mut section, mut comment) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            comment = format!("{comment} {text}");
        } else if line.starts_with('[') {
            section = format!("{}.", line.trim_matches(['[', ']']));
        } else if let Some((name, _)) = line.split_once(" = ") {
            let explained = explained.entry(general(&format!("{section}{name}")));
            // A second example of a section with a name repeats no comment.
            explained
                .and_modify(|known: &mut String| known.push_str(&comment))
                .or_insert(comment.clone());
            comment.clear();
        } else {
            comment.clear();
        }
    }

    let mut settings = Settings::default();
    settings.add_file(write(&text).path(), Origin::Named);
    let mut reader = Reader::new(settings);
    Config::of(&mut reader);
    let sections = [
        "broker.persons",
        "broker.sources",
        "console.tokens",
        "console.oidc",
        "console.oidc.roles",
        "gateway.tokens",
        "cvp",
        "cvp.NAME",
        "devices.credentials.default",
        "devices.credentials.groups",
        "devices.credentials.hosts",
        "devices.types",
        "executions.at_once_per_group",
        "executions.at_once_per_provider",
        "freeze",
        "freeze.NAME",
        "providers",
        "providers.NAME",
        "providers.uptime.environment",
        "providers.uptime.environment_files",
        "render.secrets",
        "repositories.settings",
        "repositories.templates",
        "rest",
        "rest.NAME",
        "sources",
        "sources.NAME",
        "sources.main.device_types",
        "sources.main.platforms",
        "sources.main.states",
    ];
    for (key, read) in &reader.keys {
        let (Some(bounds), name) = (&read.bounds, general(key)) else {
            let name = key.rsplit('.').next().unwrap_or_default();
            let mentioned = (name.ends_with("_file") || name.ends_with("_env")) && text.contains(name);
            let is_section = sections.contains(&key.as_str());
            assert!(
                mentioned || is_section || explained.contains_key(&general(key)),
                "{key}"
            );
            continue;
        };
        let comment = explained.get(&name).expect(key);
        assert!(
            comment.contains(bounds.as_str()),
            "{key}: {bounds:?} is not in {comment:?}"
        );
    }
}
