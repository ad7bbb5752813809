//! Counters exist with the value zero before anything is counted: an alert sees no increase in a series that begins at one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use lockstep_telemetry::Form;
use lockstep_testbed::{free_port, wait};
use serde_json::{Value, json};

use super::Shown;
use super::files::{family, is_word, read, texts};
use crate::system::http::Server;
use crate::system::{Ground, PATIENCE, Scene, shell};

/// A selector in an expression: a metric, and what its labels must be.
#[derive(Debug)]
struct Selector {
    name: String,
    /// Label, whether it is a regular expression, and value.
    labels: Vec<(String, bool, String)>,
}

/// The selectors of `increase` and `rate` in an expression.
fn counted(expression: &str) -> Vec<Selector> {
    let functions = ["increase(", "rate("];
    let places = functions.iter().flat_map(|function| {
        let places = expression.match_indices(function);
        places.map(|(place, _)| &expression[place + function.len()..])
    });
    places.map(selector).collect()
}

fn selector(text: &str) -> Selector {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let braces = text[end..]
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'));
    let matchers = braces.map_or("", |(matchers, _)| matchers).split(',');
    let labels = matchers.filter_map(|matcher| {
        let (label, value) = matcher.split_once('=')?;
        let is_pattern = value.starts_with('~');
        let value = value.trim_start_matches('~').trim_matches('"');
        Some((label.trim().to_owned(), is_pattern, value.to_owned()))
    });
    Selector {
        name: text[..end].to_owned(),
        labels: labels.collect(),
    }
}

impl Selector {
    /// Whether it selects a series as `/metrics` shows it.
    fn selects(&self, series: &str) -> bool {
        let (name, labels) = parts(series);
        let fits = |(label, is_pattern, wanted): &(String, bool, String)| {
            let value = labels.get(label.as_str()).copied().unwrap_or_default();
            match is_pattern {
                false => value == wanted,
                // A variable of the dashboard, and the only pattern that is used: some characters do not matter.
                true if wanted.starts_with('$') => true,
                true => {
                    let same = |(a, b): (char, char)| b == '.' || a == b;
                    value.len() == wanted.len() && value.chars().zip(wanted.chars()).all(same)
                }
            }
        };
        name == self.name && self.labels.iter().all(fits)
    }
}

/// The name and the labels of a series.
fn parts(series: &str) -> (&str, BTreeMap<&str, &str>) {
    let Some((name, rest)) = series.split_once('{') else {
        return (series, BTreeMap::new());
    };
    let labels = rest.trim_end_matches('}').split("\",");
    let labels = labels.filter_map(|label| label.split_once("=\""));
    (
        name,
        labels
            .map(|(name, value)| (name, value.trim_end_matches('"')))
            .collect(),
    )
}

#[test]
fn selectors_are_read() {
    let expression =
        "sum by (server) (rate(lockstep_http_requests_total{status=~\"5..\", server=\"console\"}[10m])) > 0";
    let [selector] = &counted(expression)[..] else {
        panic!()
    };
    let series = |server: &str, status: &str| {
        format!(
            "lockstep_http_requests_total{{server=\"{server}\",route=\"/v1/devices/{{hostname}}\",status=\"{status}\"}}"
        )
    };
    assert!(selector.selects(&series("console", "503")));
    assert!(!selector.selects(&series("console", "404")));
    assert!(!selector.selects(&series("gateway", "503")));
}

/// The series of counters and histograms.
fn counting(shown: &Shown) -> BTreeSet<String> {
    let counts = |series: &&String| {
        let family = family(parts(series).0);
        family.is_some_and(|family| family.form != Form::Gauge)
    };
    shown.0.keys().filter(counts).cloned().collect()
}

async fn address(listen: &str) -> Result<Server> {
    let server = Server(listen.to_owned());
    server.ready().await?;
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_of_alerts_and_dashboard_are_zero_before_the_first_message() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let mut processes = Vec::new();
    let mut all: BTreeMap<String, f64> = BTreeMap::new();
    for (role, key) in [
        ("worker", "LOCKSTEP__WORKER__LISTEN"),
        ("gateway", "LOCKSTEP__GATEWAY__LISTEN"),
        ("console", "LOCKSTEP__CONSOLE__LISTEN"),
    ] {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let process = scene.run(&[role], &[(key, &listen)])?;
        address(&listen).await?;
        if role == "worker" {
            // It is ready as soon as it has broker and store, and then starts its lanes.
            process.prints("worker started").await?;
        }
        processes.push(process);
        all.extend(Shown::of(&listen).await?.0);
    }
    let rules: Value = serde_norway::from_str(&read("docker/prometheus/alerts.yml")?)?;
    let dashboard: Value = serde_json::from_str(&read("docker/grafana/lockstep.json")?)?;
    let mut expressions = Vec::new();
    texts(&rules, "expr", &mut expressions);
    texts(&dashboard, "expr", &mut expressions);
    let selectors: Vec<Selector> = expressions.into_iter().flat_map(counted).collect();
    ensure!(selectors.len() > 15, "{selectors:?}");
    // Probes and start-up are counted already.
    let begun = |series: &str| {
        series.contains("route=\"/readyz\"")
            || series.contains("route=\"/metrics\"")
            || series.starts_with("lockstep_store_wait_seconds")
    };
    // Series of sources begin when one is configured; `netbox` reads them.
    let of_sources = |selector: &&Selector| selector.name.starts_with("lockstep_source_");
    for selector in selectors.iter().filter(|selector| !of_sources(selector)) {
        let found: Vec<(&String, &f64)> = all
            .iter()
            .filter(|(series, _)| selector.selects(series))
            .collect();
        ensure!(!found.is_empty(), "no series for {selector:?}");
        for (series, value) in found {
            ensure!(*value == 0.0 || begun(series), "{series} is {value}");
        }
    }
    for process in processes {
        process.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_counter_is_born_after_the_start() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let (console, gateway) = (
        format!("127.0.0.1:{}", free_port()?),
        format!("127.0.0.1:{}", free_port()?),
    );
    let repository = scene.folder().join("settings").display().to_string();
    let process = scene.run(
        &["up", "--listen", &console, "--gateway-listen", &gateway],
        &[
            ("LOCKSTEP__REPOSITORIES__SETTINGS__URL", &repository),
            (
                "LOCKSTEP__REPOSITORIES__SETTINGS__WEBHOOK_SECRET",
                "a-secret-of-the-forge",
            ),
        ],
    )?;
    let (console_server, gateway_server) = (address(&console).await?, address(&gateway).await?);
    let before = counting(&Shown::of(&console).await?);
    ensure!(before.len() > 200, "{} series", before.len());

    let file = std::fs::read_to_string(scene.folder().join("lockstep-data/console.json"))?;
    let file: Value = serde_json::from_str(&file)?;
    let token = file["token"].as_str().context("no token")?;
    let json = "content-type: application/cloudevents+json\r\n";
    let authorized = format!("authorization: Bearer {token}\r\n{json}");
    let event = |kind: &str, data: Value| {
        json!({"specversion": "1.0", "id": kind, "source": "urn:test", "type": kind, "data": data})
            .to_string()
    };
    let pair = json!({"device_a": "sw1", "device_b": "sw2"});
    let invalid = event(
        "lockstep.mgmtdomain.changed",
        json!({"action": "added", "device_a": "sw1", "device_b": "sw2", "previous": pair}),
    );
    let unknown = event(
        "lockstep.interface.updated",
        json!({"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]}),
    );
    for (server, method, path, headers, body, status) in [
        (&console_server, "GET", "/nowhere", "", "", 404),
        (&console_server, "POST", "/healthz", "", "", 405),
        (&console_server, "GET", "/v1/devices", "", "", 401),
        (&console_server, "GET", "/v1/devices", &authorized, "", 200),
        (
            &console_server,
            "GET",
            "/v1/devices?limit=x",
            &authorized,
            "",
            400,
        ),
        (&console_server, "GET", "/v1/devices/sw1", &authorized, "", 404),
        (&console_server, "POST", "/v1/events", &authorized, &invalid, 202),
        (&console_server, "POST", "/v1/events", &authorized, &unknown, 202),
        (&console_server, "POST", "/v1/events", &authorized, "{", 400),
        (&gateway_server, "POST", "/v1/events", json, &invalid, 401),
        (&gateway_server, "GET", "/v1/events", json, "", 405),
        (
            &gateway_server,
            "POST",
            "/webhooks/github/settings",
            "content-type: application/json\r\n",
            "{}",
            401,
        ),
        (
            &gateway_server,
            "POST",
            "/webhooks/gitlab/settings",
            "content-type: text/plain\r\n",
            "{}",
            415,
        ),
        (&gateway_server, "POST", "/webhooks/gitlab/none", json, "{}", 404),
        (
            &gateway_server,
            "POST",
            "/v1/events",
            "content-length: 7\r\n",
            "{}",
            400,
        ),
    ] {
        let (answered, problem) = server.ask(method, path, headers, body).await?;
        ensure!(answered == status, "{method} {path}: {answered} {problem}");
    }
    wait::until("both dead letters", PATIENCE, async || {
        let shown = shell(scene.folder(), "lockstep dead list --json");
        let shown = shown.map_err(|error| format!("{error:#}"))?;
        if shown.contains("invalid-data") && shown.contains("unknown-device") {
            Ok(())
        } else {
            Err(shown)
        }
    })
    .await?;

    let after = counting(&Shown::of(&console).await?);
    let born: Vec<&String> = after.difference(&before).collect();
    ensure!(born.is_empty(), "{born:?}");
    process.stop().await
}
