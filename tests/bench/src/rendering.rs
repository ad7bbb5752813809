//! Measures how fast configurations are rendered, thread for thread against Python's Jinja2, whose environment is cached, too.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use lockstep_render::{Bounds, Files, TemplateSet, Undefined};
use minijinja::Value;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::processes::target_folder;
use crate::rounds::alternate;
use crate::table::{Goal, Row, Table};

const PACKAGES: [&str; 1] = ["jinja2==3.1.6"];
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jinja2");
/// Renders of one measurement on one thread.
const RENDERS: u32 = 400;
/// Ports of the switch.
const PORTS: u32 = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    Lockstep,
    TwoThreads,
    Jinja2,
}

#[derive(Deserialize)]
struct Measured {
    seconds: f64,
    digest: String,
}

/// Adds the rows about rendering.
///
/// # Errors
/// A template cannot be rendered, or both render another text.
pub(crate) async fn measure(rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let variables = variables();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("variables.json");
    std::fs::write(&file, serde_json::to_vec(&variables)?)?;
    let python = lockstep_testbed::python_with(&target_folder()?, &PACKAGES)
        .inspect_err(|error| eprintln!("rendering, without Jinja2: {error:#}"))
        .ok();
    let templates = Arc::new(TemplateSet::new(Arc::new(files()?), "eos", Undefined::Lenient));
    let variables = Value::from_serialize(&variables);
    let text = templates.render("access.j2", &variables, Bounds::default())?;
    let expected = hex::encode(Sha256::digest(text.as_bytes()));
    let mut contenders = vec![Contender::Lockstep, Contender::TwoThreads];
    contenders.extend(python.as_ref().map(|_| Contender::Jinja2));
    let measured = alternate(
        "rendering",
        rounds,
        &contenders,
        async |contender| match contender {
            Contender::Lockstep => on_threads(&templates, &variables, 1),
            Contender::TwoThreads => on_threads(&templates, &variables, 2),
            Contender::Jinja2 => {
                let python = python.as_ref().context("it takes part")?;
                let measured = jinja2(python, &file)?;
                ensure!(measured.digest == expected, "Jinja2 renders another text");
                Ok(f64::from(RENDERS) / measured.seconds)
            }
        },
    )
    .await?;
    let what = format!(
        "renders of a switch with {PORTS} ports, {} bytes, on one thread",
        text.len()
    );
    let others = measured.of(Contender::Jinja2);
    if !others.is_empty() {
        let ours = measured.of(Contender::Lockstep);
        table
            .rows
            .push(Row::new(what, "/s", ours, ("Jinja2", others), Goal::Times(3.0)));
    }
    table.rows.push(Row::new(
        "the same on two threads",
        "/s",
        measured.of(Contender::TwoThreads),
        ("one thread", measured.of(Contender::Lockstep)),
        Goal::Times(1.8),
    ));
    Ok(())
}

/// Renders in a second, on so many threads together.
fn on_threads(templates: &Arc<TemplateSet>, variables: &Value, threads: u32) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (templates, variables) = (templates.clone(), variables.clone());
            std::thread::spawn(move || -> anyhow::Result<()> {
                for _ in 0..RENDERS {
                    templates.render("access.j2", &variables, Bounds::default())?;
                }
                Ok(())
            })
        })
        .collect();
    for thread in running {
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(f64::from(RENDERS * threads) / begin.elapsed().as_secs_f64())
}

fn jinja2(python: &Path, variables: &Path) -> anyhow::Result<Measured> {
    let output = Command::new(python)
        .arg(format!("{FOLDER}/render.py"))
        .arg(format!("{FOLDER}/eos"))
        .arg(variables)
        .arg(RENDERS.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "Jinja2 failed: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn files() -> anyhow::Result<Files> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(format!("{FOLDER}/eos"))? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a name of UTF-8")?;
        let text = std::fs::read_to_string(entry.path())?;
        files.push((format!("eos/{name}"), Arc::from(text)));
    }
    Ok(files.into_iter().collect())
}

fn variables() -> serde_json::Value {
    let interfaces: Vec<_> = (1..=PORTS)
        .map(|number| {
            let uplink = number > PORTS - 2;
            let tagged: Vec<u32> = if number % 4 == 0 { (100..110).collect() } else { Vec::new() };
            json!({
                "name": format!("Ethernet{number}"), "ifclass": if uplink { "ACCESS_UPLINK" } else { "ACCESS_UNTAGGED" },
                "untagged_vlan": 100 + number % 20, "tagged_vlan_list": tagged, "indexnum": number + 1,
                "data": {"description": if number % 3 == 0 { json!(null) } else { json!(format!("server {number}")) },
                    "aggregate_id": 1, "enabled": number % 7 != 0},
            })
        })
        .collect();
    let vlans: Vec<_> = (100..140)
        .rev()
        .map(|id| json!({"id": id, "name": format!("vlan for building {id} and the floors of it")}))
        .collect();
    let users: Vec<_> = (0..20)
        .map(|number| {
            json!({"name": format!("admin{number}"), "active": number % 4 != 0, "privilege": 15, "hash": "$6$abcdefgh$ijklmnop"})
        })
        .collect();
    json!({
        "hostname": "a1", "device_type": "ACCESS", "location": "room 7", "mgmt_ipif": "10.0.6.7/24", "mgmt_gw": "10.0.6.1",
        "ntp_servers": [{"host": "10.255.0.1"}, {"host": "10.255.0.2"}],
        "syslog_servers": [{"host": "10.255.0.21", "port": 5514}, {"host": "10.255.0.22"}],
        "interfaces": interfaces, "vlans": vlans, "users": users,
    })
}
