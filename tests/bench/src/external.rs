//! Measures what a run of an external provider costs: starting the processes, the documents, and the end, against the same step in Rust.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::ensure;
use async_trait::async_trait;
use futures_util::future::try_join_all;
use lockstep_execution::fake::{EmptyStore, NoDevices};
use lockstep_execution::{
    ElementAttempt, Entity, Provider, ProviderProperties, StepDone, StepResult, StepRun, Steps, TargetDevice,
};
use lockstep_external::{Description, EnvironmentValue, External, Program};
use lockstep_protocol::Level;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::table::{Goal, Row, Table};

/// Runs of one measurement, one after another.
const RUNS: u32 = 50;
/// Runs at once, of the measurement that counts them.
const AT_ONCE: usize = 8;

const SHELL: &str = r#"read -r begin; echo '{"type":"ready","protocol":1}'; read -r step
echo '{"type":"done","id":1,"data":{"hostname":"leaf1"}}'
read -r end; exit 0
"#;

const PYTHON: &str = r#"from lockstep_provider import DeviceProvider, main

class Hostname(DeviceProvider):
    name = "hostname"
    short_description = "Returns the hostname."

    def run_on_device(self, run):
        return {"hostname": run.entity.name}

main(Hostname)
"#;

/// The same step in Rust.
#[derive(Debug)]
struct Hostname(ProviderProperties, Steps);

#[async_trait]
impl Provider for Hostname {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn steps(&self, _: &Value) -> Steps {
        self.1
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> StepResult {
        Ok(StepDone {
            data: json!({"hostname": run.entity.name}),
            ..StepDone::default()
        })
    }
}

fn last(figures: &[f64]) -> f64 {
    figures.last().copied().unwrap_or(f64::NAN)
}

/// Measures all in turns.
///
/// # Errors
/// A program cannot be run.
pub(crate) async fn measure(rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let description = description()?;
    let rust = Hostname(description.properties(), description.steps());
    let shell = External::new(
        &description,
        program(folder.path(), "hostname.sh", SHELL, "/bin/sh")?,
        None,
    );
    let python = program(folder.path(), "hostname.py", PYTHON, "/usr/bin/python3")?;
    let python = External::new(&description, python, None);
    let (mut ours, mut by_shell, mut by_python, mut bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut rate, mut one_by_one) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        ours.push(milliseconds(&rust).await?);
        by_shell.push(milliseconds(&shell).await?);
        by_python.push(milliseconds(&python).await?);
        bare.push(bare_milliseconds().await?);
        rate.push(per_second(&shell).await?);
        one_by_one.push(1000.0 / last(&by_shell));
        eprintln!(
            "external, round {round}: Rust {:.4} ms, sh {:.2} ms, Python {:.2} ms, python3 alone {:.2} ms, {AT_ONCE} sh at once {:.0} /s",
            last(&ours),
            last(&by_shell),
            last(&by_python),
            last(&bare),
            last(&rate)
        );
    }
    let in_rust = ("Rust", &ours[..]);
    let alone = ("python3 alone", &bare[..]);
    table.rows.extend([
        Row::new("external: a run by /bin/sh", "ms", &by_shell, in_rust, Goal::None),
        Row::new("external: a run by Python", "ms", &by_python, alone, Goal::None),
        Row::new(
            "external: runs by /bin/sh, 8 at once",
            "/s",
            &rate,
            ("one by one", &one_by_one),
            Goal::None,
        ),
    ]);
    Ok(())
}

fn description() -> anyhow::Result<Description> {
    let text = json!({
        "protocol": 1, "name": "hostname", "short_description": "Returns the hostname.", "provider_type": "EXECUTE",
        "run_on": "DEVICE", "steps": ["run_on_device"],
    });
    Ok(Description::read(&text.to_string())?)
}

fn program(folder: &Path, name: &str, script: &str, interpreter: &str) -> anyhow::Result<Program> {
    let path = folder.join(name);
    std::fs::write(&path, script)?;
    let mut program = Program::new(vec![interpreter.to_owned(), path.display().to_string()]);
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../worker/external/python/src");
    let package = EnvironmentValue::Fixed(package.display().to_string().into());
    program.environment.insert("PYTHONPATH".to_owned(), package);
    Ok(program)
}

/// The time of one run, of many one after another.
async fn milliseconds(provider: &dyn Provider) -> anyhow::Result<f64> {
    run(provider).await?;
    let start = Instant::now();
    for _ in 0..RUNS {
        run(provider).await?;
    }
    Ok(start.elapsed().as_secs_f64() * 1000.0 / f64::from(RUNS))
}

/// Starting and ending Python's interpreter without anything else.
async fn bare_milliseconds() -> anyhow::Result<f64> {
    let start = Instant::now();
    for _ in 0..RUNS {
        let ended = tokio::process::Command::new("/usr/bin/python3")
            .args(["-c", "pass"])
            .status()
            .await?;
        ensure!(ended.success(), "python3: {ended}");
    }
    Ok(start.elapsed().as_secs_f64() * 1000.0 / f64::from(RUNS))
}

async fn per_second(provider: &dyn Provider) -> anyhow::Result<f64> {
    let start = Instant::now();
    let each = async || {
        for _ in 0..RUNS {
            run(provider).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..AT_ONCE).map(|_| each())).await?;
    let at_once = f64::from(u32::try_from(AT_ONCE)?);
    Ok(f64::from(RUNS) * at_once / start.elapsed().as_secs_f64())
}

async fn run(provider: &dyn Provider) -> anyhow::Result<()> {
    let entity = Entity {
        level: Level::Device,
        id: 1,
        name: "leaf1".to_owned(),
        device: Some(TargetDevice {
            hostname: "leaf1".to_owned(),
            address: "192.0.2.1".parse()?,
            platform: None,
            groups: Vec::new(),
        }),
        item: None,
    };
    let (nothing, arguments, cancel) = (Value::Null, json!({}), CancellationToken::new());
    let step = StepRun {
        element: ElementAttempt::default(),
        entity: &entity,
        above: &[],
        pre_run: &nothing,
        below: &[],
        results: &EmptyStore,
        entities: &EmptyStore,
        dry_run: true,
        arguments: &arguments,
        run_arguments: &arguments,
        children: None,
        cancel: &cancel,
        devices: &NoDevices,
    };
    let done = provider.run_on_device(&step).await;
    let done = done.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
    ensure!(done.data["hostname"] == "leaf1", "{done:?}");
    Ok(())
}
