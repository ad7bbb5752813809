//! The dashboard, the alerts and the documentation use existing metrics with their existing labels.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_telemetry::{Description, Form, families};
use serde_json::Value;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(super) fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(file(path)).with_context(|| path.to_owned())
}

/// Collects all texts under keys of this name.
pub(super) fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(key).and_then(Value::as_str));
            members.values().for_each(|value| texts(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The metrics in an expression.
fn named(expression: &str) -> Vec<&str> {
    let words = expression.split(|c: char| !is_word(c));
    words.filter(|word| word.starts_with("lockstep_")).collect()
}

/// The metric family of a series. Series of a histogram have suffixes.
pub(super) fn family(series: &str) -> Option<&'static Description> {
    families::ALL.iter().find(|family| match family.form {
        Form::Counter | Form::Gauge => series == family.name,
        Form::Histogram => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| series.strip_suffix(suffix) == Some(family.name)),
    })
}

/// The labels in the first braces after each metric of an expression.
fn labels(expression: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for name in named(expression) {
        for (place, _) in expression.match_indices(name) {
            let rest = &expression[place + name.len()..];
            let Some(braces) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
                continue;
            };
            let matchers = braces.0.split(',');
            found.extend(matchers.filter_map(|matcher| {
                let label = matcher.split(['=', '!']).next()?.trim();
                Some((name, label))
            }));
        }
    }
    found
}

fn check(expression: &str) -> Result<()> {
    for name in named(expression) {
        ensure!(
            family(name).is_some(),
            "{name} is not a metric of Lockstep: {expression}"
        );
    }
    for (name, label) in labels(expression) {
        let known = family(name).is_some_and(|family| family.labels.contains(&label));
        ensure!(
            known || ["le", "instance", "job"].contains(&label),
            "{name} has no label {label}: {expression}"
        );
    }
    Ok(())
}

#[test]
fn unknown_metrics_and_labels_are_detected() {
    assert!(check("rate(lockstep_deliveries_total{lane=\"events\"}[5m])").is_ok());
    assert!(check("lockstep_batch_seconds_bucket{le=\"1\", lane=\"events\"}").is_ok());
    for wrong in [
        "lockstep_deliveries{lane=\"events\"}",
        "lockstep_batch_seconds",
        "lockstep_deliveries_total{hostname=\"sw1\"}",
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_dashboard_shows_existing_metrics() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&read("docker/grafana/lockstep.json")?)?;
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    texts(&dashboard, "definition", &mut expressions);
    ensure!(expressions.len() > 20, "{expressions:?}");
    let mut shown = BTreeSet::new();
    for expression in expressions {
        ensure!(!named(expression).is_empty(), "{expression}");
        check(expression)?;
        shown.extend(
            named(expression)
                .into_iter()
                .filter_map(family)
                .map(|family| family.name),
        );
    }
    let missing: Vec<&str> = families::ALL
        .iter()
        .map(|family| family.name)
        .filter(|name| !shown.contains(name))
        .collect();
    ensure!(missing.is_empty(), "the dashboard does not show {missing:?}");

    let panels = dashboard["panels"].as_array().context("no panels")?;
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    ensure!(ids.len() == panels.len(), "each panel has its own id");
    Ok(())
}

#[test]
fn alerts_use_existing_metrics_and_are_documented() -> Result<()> {
    let rules: Value = serde_norway::from_str(&read("docker/prometheus/alerts.yml")?)?;
    let (mut expressions, mut alerts) = (Vec::new(), Vec::new());
    texts(&rules, "expr", &mut expressions);
    texts(&rules, "alert", &mut alerts);
    ensure!(
        expressions.len() == alerts.len() && alerts.len() >= 7,
        "{alerts:?}"
    );
    for expression in expressions {
        ensure!(!named(expression).is_empty(), "{expression}");
        check(expression)?;
    }
    // One measurement is not enough: a scrape may fail, and a process may restart.
    let groups = rules["groups"].as_array().context("no groups")?;
    let all = groups
        .iter()
        .filter_map(|group| group["rules"].as_array())
        .flatten();
    for rule in all {
        ensure!(rule["for"].is_string(), "{} has no `for`", rule["alert"]);
    }
    let documentation = read("docs/how-to/operations.md")?;
    for alert in alerts {
        ensure!(
            documentation.contains(&format!("`{alert}`")),
            "docs/how-to/operations.md does not say what to do about {alert}"
        );
    }
    Ok(())
}

#[test]
fn every_metric_is_documented_with_its_labels() -> Result<()> {
    let documentation = read("docs/how-to/operations.md")?;
    for family in families::ALL {
        let labels = match family.labels {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        let entry = format!("| `{}{labels}` |", family.name);
        ensure!(
            documentation.contains(&entry),
            "docs/how-to/operations.md has no line {entry}"
        );
    }
    for name in named(&documentation) {
        ensure!(
            family(name).is_some() || families::ALL.iter().any(|family| family.name == name),
            "{name} does not exist"
        );
    }
    Ok(())
}

#[test]
fn promtool_accepts_the_files() -> Result<()> {
    let checks: [&[&str]; 3] = [
        &["check", "rules", "docker/prometheus/alerts.yml"],
        &["check", "config", "docker/prometheus/prometheus.yml"],
        &["test", "rules", "docker/prometheus/alerts.test.yml"],
    ];
    for arguments in checks {
        let mut command = Command::new("promtool");
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = match command.output() {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("skipped: promtool is not installed; apt-get install prometheus");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "promtool {arguments:?}: {printed}");
    }
    Ok(())
}
