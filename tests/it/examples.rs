//! The first example of every help text works: it is run as it is printed, beside a running `lockstep up`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{free_port, wait};
use serde_json::json;

use crate::system::{PATIENCE, Process, shell};

/// Commands whose first example is not run here, and why. A unit test checks that these command lines are accepted.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "lockstep up",
        "it listens on fixed ports; this test runs it with others",
    ),
    (
        "lockstep worker",
        "it needs a broker, and runs until it is stopped; `roles` tests it",
    ),
    ("lockstep console", "as the worker"),
    ("lockstep gateway", "as the worker"),
    (
        "lockstep cvp",
        "it needs a CloudVision; `cvp` tests it with a simulated one",
    ),
    ("lockstep cvp tasks", "as `lockstep cvp`"),
    ("lockstep cvp sweep", "as `lockstep cvp`"),
    (
        "lockstep cvp request-sweep",
        "as `lockstep cvp`; `sweeps` tests it with a simulated one",
    ),
    (
        "lockstep simulate",
        "it runs until it is stopped; `simulate` tests it",
    ),
    (
        "lockstep devices rename",
        "it takes the name that other examples use",
    ),
    (
        "lockstep providers describe",
        "it needs a program; `first_provider` describes one",
    ),
    ("lockstep devices remove", "as `lockstep devices rename`"),
    (
        "lockstep sync approve",
        "it needs the plan of another person; `faults` approves one",
    ),
    ("lockstep simulate cvp", "as `lockstep simulate`"),
    ("lockstep simulate fleet", "as `lockstep simulate`"),
    ("lockstep simulate oidc", "as `lockstep simulate`"),
];

/// Commands that use the data folder themselves, and cannot while `lockstep up` does.
const ALONE: &[&str] = &["lockstep migrate"];

/// Commands that take away what others need.
const LAST: &[&str] = &["lockstep tasks delete", "lockstep devices set-state"];

/// An access switch needs a management domain to be rendered.
const FLEET: &str = "devices:
- {hostname: sw1, device_type: ACCESS, platform: eos, state: MANAGED, management_ip: 127.67.0.1, synchronized: true}
- {hostname: dist1, device_type: DIST, platform: eos}
- {hostname: dist2, device_type: DIST, platform: eos}
management_domains:
- {id: 1, device_a: dist1, device_b: dist2, ipv4_gw: 127.67.0.254/24, vlan: 600}
";

const REPOSITORIES: &str = "git init -q -b main origin && mkdir origin/global
    echo 'ntp_servers: []' >origin/global/base_system.yml
    git -C origin add -A && git -C origin commit -qm Begin && git clone -q origin settings
    git init -q -b main templates && mkdir templates/eos
    echo 'ACCESS: {entrypoint: access.j2}' >templates/eos/mapping.yml
    printf 'hostname sw1\nmanagement api http-commands\n   no shutdown\nend\n' >templates/eos/access.j2
    git -C templates add -A && git -C templates commit -qm Begin";

/// The highest number of a dead letter in the examples.
const DEAD_LETTERS: usize = 43;

fn help(path: &str) -> Result<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command.env_clear().args(path.split(' ').skip(1)).arg("--help");
    Ok(String::from_utf8(command.output()?.stdout)?)
}

/// This command and all below it, with their help texts.
fn commands(path: &str, found: &mut Vec<(String, String)>) -> Result<()> {
    let text = help(path)?;
    let listed = text.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    // Further lines of a description are indented more.
    let names: Vec<&str> = lines
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    found.push((path.to_owned(), text.clone()));
    for name in names {
        commands(&format!("{path} {name}"), found)?;
    }
    Ok(())
}

/// The first example of a help text, with the lines that continue it.
fn first_example(help: &str) -> Result<String> {
    let lines = help.lines().skip_while(|line| !line.starts_with("Example"));
    let mut example = String::new();
    for line in lines.skip(1) {
        // The first help text explains each of its examples, after some blanks.
        let command = line.trim_start().split("    ").next().unwrap_or_default();
        example += command;
        if !command.ends_with('\\') {
            break;
        }
        example.push('\n');
    }
    ensure!(!example.is_empty(), "no example: {help}");
    Ok(example)
}

/// Publishes events that become dead letters.
fn publish_dead_letters(folder: &Path) -> Result<()> {
    let console = std::fs::read_to_string(folder.join("lockstep-data/console.json"))?;
    let console: serde_json::Value = serde_json::from_str(&console)?;
    let event = |number: usize| {
        json!({
            "specversion": "1.0", "id": format!("dead-{number}"), "source": "urn:test", "type": "lockstep.interface.updated",
            "data": {"hostname": "nowhere", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]},
        })
    };
    let batch: Vec<_> = (1..=DEAD_LETTERS).map(event).collect();
    std::fs::write(folder.join("batch.json"), serde_json::to_vec(&batch)?)?;
    let (url, token) = (console["url"].as_str(), console["token"].as_str());
    let (url, token) = (url.context("no address")?, token.context("no token")?);
    let curl = format!(
        "curl -sS --fail -H 'Authorization: Bearer {token}' -H 'Content-Type: application/cloudevents-batch+json' \
         --data-binary @batch.json {url}/v1/events"
    );
    shell(folder, &curl).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_example_of_every_help_text_works() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let port = free_port()?;
    let listen = format!("127.67.0.1:{port}");
    let arguments = [
        "simulate",
        "fleet",
        "--devices",
        "1",
        "--listen",
        &listen,
        "--ca-out",
        "fleet-ca.pem",
    ];
    let devices = Process::start(folder, &arguments, &[])?;
    devices.prints("simulated devices listen").await?;
    std::fs::write(folder.join("fleet.yml"), FLEET)?;
    std::fs::write(
        folder.join("uptime.yml"),
        "{name: uptime, provider: command, arguments: {commands: [show version]}}\n",
    )?;
    shell(folder, REPOSITORIES)?;
    let repository = |name: &str| folder.join(name).display().to_string();
    let environment = [
        ("REPOSITORIES__SETTINGS__URL", repository("origin")),
        ("REPOSITORIES__TEMPLATES__URL", repository("templates")),
        ("SYNC__READ_BACK_PAUSE", "100ms".to_owned()),
        ("DEVICES__PORT", port.to_string()),
        ("DEVICES__CA_FILE", "fleet-ca.pem".to_owned()),
        ("DEVICES__CREDENTIALS__DEFAULT__USERNAME", "admin".to_owned()),
        ("DEVICES__CREDENTIALS__DEFAULT__PASSWORD", "simulated".to_owned()),
    ];
    let environment = environment.map(|(key, value)| (format!("LOCKSTEP__{key}"), value));
    let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
    let up = Process::start(folder, &arguments, &environment)?;
    up.prints("lockstep is up").await?;
    shell(
        folder,
        "lockstep devices import fleet.yml
         lockstep publish lockstep.interface.updated --wait --id 0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70 \
             --data '{\"hostname\": \"sw1\", \"kind\": \"configuration\", \"interfaces\": [{\"name\": \"Ethernet1\"}]}'
         lockstep tasks save uptime.yml
         lockstep tasks run uptime --host sw1 --wait
         lockstep repositories accept settings $(git -C origin rev-parse HEAD)
         lockstep repositories accept templates $(git -C templates rev-parse HEAD)
         lockstep repositories refresh settings
         lockstep repositories refresh templates
         lockstep sync plan --host sw1 --wait
         lockstep sync apply 2 --yes --wait",
    )?;
    publish_dead_letters(folder)?;
    wait::until("the dead letters", PATIENCE, async || {
        shell(folder, &format!("lockstep dead show {DEAD_LETTERS}")).map_err(|error| format!("{error:#}"))
    })
    .await?;

    let mut all = Vec::new();
    commands("lockstep", &mut all)?;
    ensure!(all.len() > 30, "{} commands", all.len());
    for (path, _) in NOT_RUN {
        ensure!(
            all.iter().any(|(known, _)| known == path),
            "{path} does not exist"
        );
    }
    all.sort_by_key(|(path, _)| LAST.contains(&path.as_str()));
    let mut run = BTreeSet::new();
    for (path, help) in &all {
        let example = first_example(help)?;
        if NOT_RUN.iter().any(|(other, _)| other == path) || !run.insert(example.clone()) {
            continue;
        }
        let alone = tempfile::tempdir()?;
        let place = if ALONE.contains(&path.as_str()) {
            alone.path()
        } else {
            folder
        };
        shell(place, &example).with_context(|| format!("the first example of `{path} --help`"))?;
    }
    devices.stop().await?;
    up.stop().await
}
