//! `lockstep cvp` as operators and scripts use it, against the simulated CloudVision.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use lockstep_simulators::cvp::{CvpSimulator, Endpoint, Fault, Injection, Options, Scenario};
use serde_json::{Value, json};
use tokio::process::Command;

/// A simulated CloudVision, and a folder with the certificate of its authority.
struct Scene {
    simulator: CvpSimulator,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new(scenario: Scenario) -> Result<Self> {
        let simulator = CvpSimulator::start(scenario, Options::default()).await?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), simulator.ca_pem())?;
        Ok(Self { simulator, folder })
    }

    /// Runs `lockstep` with the variables of the article's script.
    async fn run(&self, line: &str) -> Result<Output> {
        let host = self.simulator.addresses()[0].to_string();
        let environment = [
            ("CVP_HOSTNAME", host.as_str()),
            ("CVP_USERNAME", "cvpadmin"),
            ("CVP_PASSWORD", "simulated"),
        ];
        lockstep(self.folder.path(), line, &environment).await
    }

    async fn json(&self, line: &str) -> Result<Value> {
        let output = self.run(line).await?;
        ensure!(
            output.status.success(),
            "{line}: {} {}",
            output.status,
            text(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).with_context(|| text(&output.stdout))
    }
}

async fn lockstep(folder: &Path, line: &str, environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command
        .env_clear()
        .current_dir(folder)
        .args(line.split_whitespace());
    command.envs(environment.iter().copied());
    command.output().await.context("cannot start lockstep")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_says_what_the_articles_script_says() -> Result<()> {
    let scene = Scene::new(Scenario::seed()).await?;
    let output = scene.run("cvp sweep --dry-run --ca-file ca.pem").await?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    ensure!(
        text(&output.stdout).contains("0000 : would be cancelled"),
        "{}",
        text(&output.stdout)
    );
    ensure!(scene.simulator.cancelled().is_empty() && scene.simulator.count(Endpoint::Note) == 0);

    let output = scene.run("cvp sweep --yes --ca-file ca.pem").await?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    ensure!(
        lines[0] == "Task ID : 1811 on NETELEMENT_ID : fc:9b:59:6a:83:8c and compliance code is : 0000",
        "{printed}"
    );
    ensure!(
        lines[3].ends_with("48:49:b7:a2:a9:ea and compliance code is : 0007 : kept (not-compliant)"),
        "{printed}"
    );
    for task in ["1811", "1810", "1809"] {
        let line = format!("Task ID : {task} cancellation result : Task cancellation triggered successfully");
        ensure!(lines.contains(&line.as_str()), "{printed}");
    }
    ensure!(
        printed.contains("14 tasks: 3 cancelled, 11 kept, 0 failed, 0 gone\nkept for: 11 not-compliant"),
        "{printed}"
    );
    ensure!(output.stderr.is_empty(), "{}", text(&output.stderr));
    ensure!(scene.simulator.open_sessions() == 0, "it logs out");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_get_json() -> Result<()> {
    let scene = Scene::new(Scenario::seed()).await?;
    let tasks = scene
        .json("cvp tasks --json --code 0007 --ca-file ca.pem")
        .await?;
    let expected = json!({
        "task_id": "1795", "net_element_id": "48:49:b7:a2:a9:ea", "hostname": tasks[0]["hostname"],
        "serial": "JPE4849B7A2A9EA", "description": tasks[0]["description"], "age_seconds": tasks[0]["age_seconds"],
        "code": "0007", "meaning": "Extensions are out of sync", "empty": false, "reasons": ["not-compliant"],
    });
    ensure!(tasks == json!([expected]), "{tasks}");
    ensure!(
        tasks[0]["age_seconds"].as_i64().is_some_and(|age| age > 86_400),
        "{tasks}"
    );

    let swept = scene.json("--json cvp sweep --yes --ca-file ca.pem").await?;
    let first = json!({
        "task_id": "1811", "net_element_id": "fc:9b:59:6a:83:8c", "hostname": swept["tasks"][0]["hostname"],
        "serial": "JPEFC9B596A838C", "code": "0000", "meaning": "Configuration is in sync", "action": "cancelled",
        "answer": "Task cancellation triggered successfully", "reasons": [],
    });
    ensure!(swept["tasks"][0] == first, "{swept}");
    let counts = json!({"listed": 14, "cancelled": 3, "kept": 11, "failed": 0, "gone": 0, "alerts": 0,
        "reasons": {"not-compliant": 11}});
    ensure!(swept["counts"] == counts, "{swept}");

    let cancelled = scene
        .json("cvp tasks --json --status Cancelled --ca-file ca.pem")
        .await?;
    ensure!(
        cancelled.as_array().is_some_and(|tasks| tasks.len() == 3),
        "{cancelled}"
    );
    ensure!(cancelled[0]["reasons"][0] == "not-pending", "{cancelled}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_a_table_with_what_is_empty_and_why_not() -> Result<()> {
    let scene = Scene::new(Scenario::seed()).await?;
    let output = scene.run("cvp tasks --insecure").await?;
    let printed = text(&output.stdout);
    let row = |task: &str| {
        printed
            .lines()
            .find(|line| line.starts_with(task))
            .unwrap_or_default()
            .to_owned()
    };
    ensure!(row("TASK").contains("DESCRIPTION"), "{printed}");
    ensure!(
        row("1811").contains("0000  Configuration is in sync") && row("1811").ends_with("yes    -"),
        "{printed}"
    );
    ensure!(row("1777").ends_with(" no     not-compliant"), "{printed}");
    let warning = text(&output.stderr);
    ensure!(warning.contains("certificates are not verified"), "{warning}");
    let output = scene.run("cvp tasks --code 0019 --ca-file ca.pem").await?;
    ensure!(
        output.status.success() && text(&output.stderr) == "no task matches\n",
        "{output:?}"
    );
    Ok(())
}

/// A command line, its environment, its exit code, and a text on stderr.
type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>, i32, &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_to_do_next_and_keep_secrets() -> Result<()> {
    let scene = Scene::new(Scenario::seed()).await?;
    let host = scene.simulator.addresses()[0].to_string();
    let folder = scene.folder.path();
    std::fs::write(
        folder.join("two.toml"),
        format!(
            "[cvp.one]\nhosts = ['{host}']\ntoken = 'simulated-token'\nca_file = 'ca.pem'\n\
             [cvp.two]\nhosts = ['{host}']\ntoken = 'hush'\nca_file = 'ca.pem'\n"
        ),
    )?;
    let at = |rest: &[(&'static str, &'static str)]| {
        let mut environment = vec![("CVP_HOSTNAME", host.as_str())];
        environment.extend_from_slice(rest);
        environment
    };
    let user = at(&[("CVP_USERNAME", "cvpadmin"), ("CVP_PASSWORD", "hush")]);
    let table: &[Row<'_>] = &[
        ("cvp sweep --yes", vec![], 2, "set CVP_HOSTNAME with CVP_USERNAME"),
        ("cvp sweep", user.clone(), 2, "add --dry-run or --yes"),
        (
            "cvp sweep --yes --dry-run",
            user.clone(),
            2,
            "cannot be used with",
        ),
        (
            "cvp tasks --insecure --ca-file x",
            user.clone(),
            2,
            "cannot be used with",
        ),
        (
            "cvp tasks --change-controls maybe",
            user.clone(),
            2,
            "\"required\" or \"unavailable\"",
        ),
        ("cvp tasks", at(&[]), 78, "cvp.environment.username: is missing"),
        (
            "cvp tasks",
            vec![("CVP_HOSTNAME", "http://cvp")],
            78,
            "CVP_HOSTNAME: cvp.environment.hosts",
        ),
        (
            "cvp tasks --ca-file none.pem",
            user.clone(),
            78,
            "cannot read none.pem",
        ),
        (
            "cvp tasks --ca-file two.toml",
            user.clone(),
            78,
            "contains no certificates",
        ),
        ("cvp tasks", user.clone(), 1, "--ca-file"),
        (
            "cvp tasks --ca-file ca.pem",
            user.clone(),
            1,
            "check the user, the password or the token",
        ),
        (
            "cvp tasks --config two.toml",
            vec![],
            2,
            "choose one with --cluster: one, two",
        ),
        (
            "cvp tasks --config two.toml --cluster three",
            vec![],
            2,
            "unknown cluster \"three\"; expected one of one, two",
        ),
        (
            "cvp tasks --config two.toml --cluster two",
            vec![],
            1,
            "check the user, the password or the token",
        ),
    ];
    for (line, environment, code, expected) in table {
        let output = lockstep(folder, line, environment).await?;
        let stderr = text(&output.stderr);
        ensure!(
            output.status.code() == Some(*code),
            "{line}: {} {stderr}",
            output.status
        );
        ensure!(stderr.contains(expected), "{line}: {stderr}");
        ensure!(!stderr.contains("hush"), "{line}: {stderr}");
        ensure!(output.stdout.is_empty(), "{line}: {}", text(&output.stdout));
    }
    let output = lockstep(folder, "cvp tasks --config two.toml --cluster one", &user).await?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let output = lockstep(folder, "-vv cvp tasks --ca-file ca.pem", &user).await?;
    ensure!(!text(&output.stderr).contains("hush"), "{}", text(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_could_not_do_what_it_should_fails() -> Result<()> {
    let scene = Scene::new(Scenario::seed()).await?;
    let refusal = Fault::ErrorCode("1".to_owned(), "not today".to_owned());
    scene
        .simulator
        .inject(Injection::new(Endpoint::Cancel, refusal).about("1810"));
    let output = scene.run("cvp sweep --yes --ca-file ca.pem").await?;
    ensure!(output.status.code() == Some(1), "{}", output.status);
    let printed = text(&output.stdout);
    ensure!(
        printed.contains(
            "Task ID : 1810 cancellation failed : cancel a task: CloudVision rejected it (1): not today"
        ),
        "{printed}"
    );
    ensure!(printed.contains("2 cancelled, 11 kept, 1 failed"), "{printed}");

    let scene = Scene::new(Scenario::seed()).await?;
    scene.simulator.after(Endpoint::Cancel, Some("1810"), 1, |world| {
        world.device_mut("a4:9f:e4:8d:c2:4e").set_code("0001");
    });
    let output = scene.run("cvp sweep --yes --ca-file ca.pem").await?;
    ensure!(output.status.code() == Some(1), "{}", output.status);
    ensure!(
        text(&output.stderr).contains("is no longer compliant right after task 1810"),
        "{}",
        text(&output.stderr)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_shows_and_asks() -> Result<()> {
    for (answer, cancelled) in [("n", 0), ("", 0), ("yes", 3)] {
        let scene = Scene::new(Scenario::seed()).await?;
        // `script` runs it with a terminal.
        let host = scene.simulator.addresses()[0].to_string();
        let mut command = Command::new("script");
        let line = format!("{} cvp sweep --ca-file ca.pem", env!("CARGO_BIN_EXE_lockstep"));
        command
            .args(["-qec", &line, "/dev/null"])
            .current_dir(scene.folder.path());
        command.envs([
            ("CVP_HOSTNAME", host.as_str()),
            ("CVP_USERNAME", "cvpadmin"),
            ("CVP_PASSWORD", "simulated"),
        ]);
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .context("cannot start script")?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        tokio::io::AsyncWriteExt::write_all(&mut stdin, format!("{answer}\n").as_bytes()).await?;
        let output = child.wait_with_output().await?;
        let printed = text(&output.stdout);
        ensure!(
            printed.contains("3 of 14 tasks have nothing left to do. Cancel these tasks? [y/N]"),
            "{printed}"
        );
        ensure!(
            printed.contains(match cancelled {
                0 => "14 tasks: would cancel 3, keep 11; 0 failed, 0 gone",
                _ => "14 tasks: 3 cancelled, 11 kept",
            }),
            "{answer}: {printed}"
        );
        ensure!(
            scene.simulator.cancelled().len() == cancelled,
            "{answer}: {printed}"
        );
        drop(stdin);
    }
    Ok(())
}
