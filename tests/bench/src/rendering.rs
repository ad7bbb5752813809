//! Measures how many configurations are rendered a second, on one thread and on two, against Python's Jinja2 with netutils on one. Both
//! have parsed the templates before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_render::{Bounds, Files, TemplateSet, Undefined};
use minijinja::Value;
use serde::Deserialize;

use crate::processes::target_folder;
use crate::table::{Goal, Row, Table};

const PACKAGES: [&str; 2] = ["jinja2==3.1.6", "netutils==1.19.2"];
/// The templates: configurations of devices, of those that are compared with Python's.
const TEMPLATES: [&str; 4] = ["bgp_fabric", "eos_access", "junos_braces", "trunk_ports"];
/// How long one measurement takes.
const PERIOD: Duration = Duration::from_secs(2);

struct Template {
    set: TemplateSet,
    variables: Value,
}

#[derive(Deserialize)]
struct Measured {
    rate: f64,
    texts: Vec<String>,
}

/// Measures both in turns.
///
/// # Errors
/// A template cannot be rendered, or what is rendered differs.
pub(crate) fn measure(rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let templates = templates()?;
    let python = lockstep_testbed::python_with(&target_folder()?, &PACKAGES)
        .inspect_err(|error| eprintln!("rendering, without Jinja2: {error:#}"))
        .ok();
    let (mut one, mut two, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let rates = (by_threads(&templates, 1)?, by_threads(&templates, 2)?);
        let other = python
            .as_deref()
            .map(|python| by_jinja2(python, &templates))
            .transpose()?;
        eprintln!(
            "rendering, round {round}: {:.0} /s, {:.0} /s on two threads, Jinja2 {other:.0?} /s",
            rates.0, rates.1
        );
        one.push(rates.0);
        two.push(rates.1);
        others.extend(other);
    }
    if !others.is_empty() {
        let jinja2 = ("Jinja2", &others[..]);
        table.rows.push(Row::new(
            "rendering: configurations, thread for thread",
            "/s",
            &one,
            jinja2,
            Goal::Times(3.0),
        ));
    }
    let alone = ("one thread", &one[..]);
    table.rows.push(Row::new(
        "rendering: on two threads",
        "/s",
        &two,
        alone,
        Goal::Times(1.8),
    ));
    Ok(())
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../worker/intent/render/tests/templates");
    TEMPLATES.iter().map(move |name| folder.join(name))
}

fn templates() -> anyhow::Result<Vec<Template>> {
    folders()
        .map(|folder| {
            let mut files = Vec::new();
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = entry?.path();
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                if path.extension().is_some_and(|extension| extension == "j2") {
                    files.push((name.unwrap_or_default(), Arc::from(fs::read_to_string(&path)?)));
                }
            }
            let variables = serde_json::from_str(&fs::read_to_string(folder.join("variables.json"))?)?;
            let files: Files = files.into_iter().collect();
            let set = TemplateSet::new(Arc::new(files), "", Undefined::Lenient);
            Ok(Template { set, variables })
        })
        .collect()
}

fn render(template: &Template) -> anyhow::Result<String> {
    Ok(template
        .set
        .render("main.j2", &template.variables, Bounds::default())?)
}

/// Renderings a second of so many threads together, which share the templates.
fn by_threads(templates: &[Template], threads: usize) -> anyhow::Result<f64> {
    for template in templates {
        render(template)?;
    }
    let one = || -> anyhow::Result<f64> {
        let begin = Instant::now();
        let mut rendered = 0.0;
        while begin.elapsed() < PERIOD {
            for template in templates {
                std::hint::black_box(render(template)?);
                rendered += 1.0;
            }
        }
        Ok(rendered / begin.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let mut sum = 0.0;
        for thread in running {
            sum += thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        Ok(sum)
    })
}

fn by_jinja2(python: &Path, templates: &[Template]) -> anyhow::Result<f64> {
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/jinja2/rendering.py"))
        .args(folders())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "Jinja2 failed: {}: {errors}",
        output.status
    );
    let measured: Measured = serde_json::from_slice(&output.stdout)?;
    for (template, text) in templates.iter().zip(&measured.texts) {
        ensure!(render(template)? == *text, "Jinja2 renders something else");
    }
    Ok(measured.rate)
}
