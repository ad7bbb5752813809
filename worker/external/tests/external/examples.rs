//! The programs in `examples/`, run as workers run them.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_execution::cycle::CheckResult;
use lockstep_execution::{CycleResult, check_arguments};
use lockstep_external::{EnvironmentValue, Program};
use lockstep_protocol::ElementState;
use lockstep_simulators::fleet::{Device, FleetSimulator, Options};
use serde_json::json;

use crate::python::package;
use crate::scene::Scene;

const NAPALM: &[&str] = &["napalm==5.2.0", "pyeapi==1.0.4"];

/// A program in `examples/`.
fn example(scene: &mut Scene, python: &str, name: &str) -> Program {
    let variables = [
        ("PYTHONPATH", package().join("src").display().to_string()),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), EnvironmentValue::Fixed(value.into())));
    scene.environment.extend(variables);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    scene.program(vec![python.to_owned(), script.display().to_string()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_answers_is_ok_and_another_one_is_not() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let open = listener.local_addr()?.port();
    let closed = {
        let closing = TcpListener::bind("127.0.0.1:0")?;
        closing.local_addr()?.port()
    };
    for (port, expected) in [(open, CheckResult::Ok), (closed, CheckResult::Nok)] {
        let mut scene = Scene::new()?;
        scene.target.address = "127.0.0.1".parse()?;
        scene.arguments = json!({"check_key": "eapi", "port": port});
        let program = example(&mut scene, "/usr/bin/python3", "tcp_port.py");
        let description = program.describe().await?;
        check_arguments(&description.json_schema, &scene.arguments)?;
        let (results, produced) = scene.run_as(&description, program).await;
        ensure!(results[1].state == ElementState::Successful, "{results:?}");
        ensure!(
            produced.checks.len() == 1 && produced.checks[0].result == expected,
            "{produced:?}"
        );
        scene.nothing_is_left().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn napalm_writes_facts_of_devices_and_a_wrong_password_fails() -> Result<()> {
    let fleet = FleetSimulator::start(vec![Device::numbered(1)], Options::default()).await?;
    let python = tokio::task::spawn_blocking(|| {
        lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), NAPALM)
    });
    let python = python.await??.display().to_string();
    let run = async |password: &str| -> Result<(Vec<CycleResult>, _)> {
        let mut scene = Scene::new()?;
        scene.limits.timeout = Duration::from_mins(2);
        scene.target.address = fleet.addresses()[0].to_string().parse()?;
        scene.arguments = json!({"facts_key": "napalm", "getters": ["facts", "interfaces"]});
        scene.login = Some((Options::default().username, password.to_owned()));
        let ca = scene.executable("ca.pem", fleet.ca_pem(), 0o600)?;
        let ca = EnvironmentValue::Fixed(ca.display().to_string().into());
        scene.environment.insert("NAPALM_CA_FILE".to_owned(), ca);
        let program = example(&mut scene, &python, "napalm_facts.py");
        let description = program.describe().await?;
        check_arguments(&description.json_schema, &scene.arguments)?;
        let ran = scene.run_as(&description, program).await;
        scene.nothing_is_left().await?;
        Ok(ran)
    };
    let (results, produced) = run(&Options::default().password).await?;
    ensure!(results[1].state == ElementState::Successful, "{results:?}");
    let [(_, 5, key, fact)] = &produced.facts[..] else {
        panic!("{produced:?}")
    };
    ensure!(
        key == "napalm" && fact["facts"]["hostname"] == "leaf00001",
        "{fact}"
    );
    ensure!(fact["interfaces"]["Ethernet1"].is_object(), "{fact}");

    let (results, _) = run("wrong").await?;
    ensure!(results[0].state == ElementState::Failed, "{results:?}");
    ensure!(
        results[0].reason.as_deref() == Some("wrong-credentials"),
        "{results:?}"
    );
    Ok(())
}

/// The first block of this language in a document.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("a block");
    rest.split_once("```").expect("its end").0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_of_the_documentation_run_as_written() -> Result<()> {
    let page = include_str!("../../../../docs/how-to/external-providers.md");
    let readme = include_str!("../../python/README.md");
    for python in [block(page, "python"), block(readme, "python")] {
        let mut scene = Scene::new()?;
        scene.arguments = json!({"word": "hi"});
        let path = scene.executable("greeting.py", python, 0o644)?;
        let program = example(&mut scene, "/usr/bin/python3", &path.display().to_string());
        let description = program.describe().await?;
        let (results, _) = scene.run_as(&description, program).await;
        ensure!(results[1].message.as_deref() == Some("hi leaf1"), "{results:?}");
        scene.nothing_is_left().await?;
    }
    let shell = page
        .split("In a shell, a whole provider is:")
        .nth(1)
        .expect("a program of the shell");
    let scene = Scene::new()?;
    let description = crate::scene::description(&["run_on_device"]);
    let described = scene.executable("hello.json", &serde_json::to_string(&description)?, 0o644)?;
    let script = block(shell, "sh").replace("/opt/providers/hello.json", &described.display().to_string());
    let program = scene.program(vec![
        scene.executable("hello", &script, 0o755)?.display().to_string(),
    ]);
    ensure!(program.describe().await? == description);
    let (results, _) = scene.run(program, &["run_on_interface", "run_on_device"]).await;
    ensure!(results[1].message.as_deref() == Some("hello"), "{results:?}");
    Ok(())
}

/// The documents of the documentation are documents of the published schema.
#[test]
fn the_documents_of_the_documentation_match_the_published_schema() -> Result<()> {
    let page = include_str!("../../../../docs/how-to/external-providers.md");
    let documents: Vec<serde_json::Value> = block(page, "json")
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(documents.len() == 5);
    let schema = lockstep_external::schema();
    for document in documents {
        let matches = ["to_program", "from_program"].iter().filter(|direction| {
            let one = json!({
                "$schema": schema["$schema"], "$defs": schema["$defs"],
                "allOf": [schema["properties"][**direction]],
            });
            check_arguments(&one, &document).is_ok()
        });
        ensure!(matches.count() == 1, "{document}");
    }
    Ok(())
}
