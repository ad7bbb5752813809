//! The command line as a script sees it: output, errors and exit codes.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::system::{Ground, Scene};

/// Runs `lockstep` in a folder without variables of Lockstep in its environment.
fn lockstep(folder: &Path, line: &str, environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command
        .env_clear()
        .current_dir(folder)
        .args(line.split_whitespace());
    command.envs(environment.iter().copied());
    command.output().context("cannot start lockstep")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn errors_have_exit_codes_and_advice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("bad.yml"),
        "- {hostname: sw1}\n- {hostname: a_b, device_type: CORE}\n",
    )?;
    let table = [
        ("nonsense", 2, "unrecognized subcommand"),
        ("publish", 2, "TYPE"),
        (
            "publish lockstep.device.removed --data {",
            2,
            "--data is not valid JSON",
        ),
        (
            "publish lockstep.device.removed --source=",
            2,
            "--source must not be empty",
        ),
        ("devices set-state sw1 GONE", 2, "is not one of UNKNOWN"),
        (
            "dead list --state gone",
            2,
            "expected one of dead, requeued, processed, dropped",
        ),
        ("dead list --code unknown-devise", 2, "`unknown-device`"),
        ("dead list --state dead --all-states", 2, "cannot be used with"),
        ("dead list --limit all", 2, "--limit"),
        ("dead show", 2, "NUMBER"),
        ("dead requeue", 2, "NUMBER"),
        ("dead requeue one", 2, "invalid digit"),
        ("dead requeue 1 --all", 2, "cannot be used with"),
        ("dead drop 1 --code crashed", 2, "need --all"),
        (
            "dead requeue --all",
            2,
            "--all asks for confirmation on a terminal; without one, add --yes",
        ),
        ("dead drop --all --lane fast", 2, "is not a lane"),
        // Nothing selected never means everything.
        ("tasks run uptime", 2, "--host"),
        ("tasks run uptime --apply", 2, "--execute-on"),
        ("schedules save s --cron x --task uptime", 2, "--all"),
        ("tasks run uptime --all --host sw1", 2, "cannot be used with"),
        (
            "tasks run uptime --all --argument a=b",
            2,
            "the value is not JSON",
        ),
        ("tasks validate bad.yml", 1, "start `lockstep up`"),
        ("tasks save none.yml", 1, "cannot read none.yml"),
        ("executions relaunch 1", 2, "--failed"),
        ("executions cancel", 2, "EXECUTION"),
        ("executions list --state done", 2, "is not a state"),
        ("stop-all", 1, "start `lockstep up`"),
        ("dead list", 1, "start `lockstep up`"),
        ("dead drop --all --yes", 1, "start `lockstep up`"),
        ("devices list", 1, "start `lockstep up`"),
        (
            "devices list --url http://127.0.0.1:1",
            1,
            "no token for http://127.0.0.1:1",
        ),
        (
            "devices list --url http://127.0.0.1:1 --token x",
            1,
            "cannot connect to http://127.0.0.1:1; is `lockstep up`",
        ),
        (
            "devices list --url nowhere --token x",
            2,
            "is not a valid address",
        ),
        ("devices import bad.yml", 1, "bad.yml: entry 2 (a_b): hostname"),
        ("devices import none.yml", 1, "cannot read none.yml"),
        ("worker", 78, "works only inside one process"),
        ("console", 78, "works only inside one process"),
        ("gateway", 78, "works only inside one process"),
        ("gateway --listen here", 78, "--listen: gateway.listen"),
        ("up --listen here", 78, "--listen: console.listen"),
        ("up --gateway-listen here", 78, "--gateway-listen: gateway.listen"),
        ("config check --config none.toml", 78, "cannot read none.toml"),
    ];
    for (line, code, expected) in table {
        let output = lockstep(folder.path(), line, &[])?;
        let stderr = text(&output.stderr);
        ensure!(
            output.status.code() == Some(code),
            "{line}: {} {stderr}",
            output.status
        );
        ensure!(stderr.contains(expected), "{line}: {stderr}");
        ensure!(output.stdout.is_empty(), "{line}: {}", text(&output.stdout));
    }
    Ok(())
}

#[test]
fn under_json_every_error_is_a_line_of_json() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("bad.yml"),
        "- {hostname: sw1}\n- {hostname: sw1}\n",
    )?;
    std::fs::write(folder.path().join("bad.toml"), "[broker]\nurll = 1\n")?;
    for (line, code, exit_code) in [
        ("nonsense --json", "usage", 2),
        ("devices list --json --unsynchronised", "usage", 2),
        ("devices list -o json --sort nope", "usage", 2),
        ("devices list -ojsonl --columns hostname", "usage", 2),
        ("devices list -o jsonl", "failed", 1),
        (
            "devices list --json --url http://127.0.0.1:1 --token x",
            "unreachable",
            1,
        ),
        ("devices import bad.yml --json", "invalid-inventory", 1),
        ("dead requeue --all --json", "usage", 2),
        ("worker --json --config bad.toml", "invalid-configuration", 78),
    ] {
        let output = lockstep(folder.path(), line, &[])?;
        ensure!(
            output.status.code() == Some(exit_code),
            "{line}: {}",
            output.status
        );
        ensure!(output.stdout.is_empty(), "{line}: {}", text(&output.stdout));
        let stderr = text(&output.stderr);
        let last = stderr.lines().last().with_context(|| line.to_owned())?;
        let error: serde_json::Value =
            serde_json::from_str(last).with_context(|| format!("{line}: {stderr}"))?;
        let error = &error["error"];
        ensure!(
            error["code"] == code && error["exit_code"] == exit_code,
            "{line}: {error}"
        );
        ensure!(
            error["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{line}: {error}"
        );
    }
    Ok(())
}

#[test]
fn an_invalid_configuration_exits_with_78_and_lists_all_problems() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("lockstep.toml"),
        "[broker]\nurll = 1\n[worker]\nbatch_size = 0\n",
    )?;
    let environment = [("LOCKSTEP__LOG__FORMAT", "xml")];
    for command in ["config check", "up", "migrate", "config check --json"] {
        let output = lockstep(folder.path(), command, &environment)?;
        ensure!(output.status.code() == Some(78), "{command}: {}", output.status);
        for expected in [
            "3 problems",
            "lockstep.toml:2: broker.urll: unknown key",
            "lockstep.toml:4: worker.batch_size: is 0",
            "LOCKSTEP__LOG__FORMAT: log.format",
        ] {
            let stderr = text(&output.stderr);
            ensure!(stderr.contains(expected), "{command}: {expected}: {stderr}");
        }
    }
    Ok(())
}

#[test]
fn the_effective_configuration_is_shown_without_secrets() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let environment = [
        ("LOCKSTEP__BROKER__URL", "amqp://user:hush@broker/v"),
        (
            "LOCKSTEP__CONSOLE__TOKENS",
            "[{name = 'ops', token = 'hush-hush-hush-hush', types = ['*']}]",
        ),
    ];
    for command in ["config check", "config check --json"] {
        let output = lockstep(folder.path(), command, &environment)?;
        let shown = text(&output.stdout);
        ensure!(output.status.success(), "{}", text(&output.stderr));
        ensure!(
            shown.contains("amqp://***@broker/v") && shown.contains("ops"),
            "{shown}"
        );
        ensure!(!shown.contains("hush"), "{shown}");
    }
    Ok(())
}

/// What completes the last word of this command line, as fish asks for it: the values alone.
fn completed(folder: &Path, typed: &str) -> Result<String> {
    let line = format!("-- lockstep {typed}");
    let output = lockstep(folder, &line, &[("LOCKSTEP_COMPLETE", "fish")])?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let values: Vec<&str> = shown.lines().filter_map(|line| line.split('\t').next()).collect();
    Ok(values.join(" "))
}

#[test]
fn completions_and_schemas_need_no_running_system() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for shell in ["bash", "zsh", "fish"] {
        let output = lockstep(folder.path(), &format!("completions {shell}"), &[])?;
        let calls = "LOCKSTEP_COMPLETE";
        ensure!(
            output.status.success() && text(&output.stdout).contains(calls),
            "{shell}"
        );
    }
    // The part of the command line that is typed, and what completes it. Nothing runs that knows values.
    for (typed, expected) in [("devices set", "set-state"), ("devices show sw", "")] {
        let shown = completed(folder.path(), typed)?;
        ensure!(shown == expected, "{typed}: {shown}");
    }
    let output = lockstep(folder.path(), "man pages", &[])?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(folder.path().join("pages/lockstep-devices-set-state.1"))?;
    ensure!(page.contains(".SH NAME"), "{page}");
    for (what, expected) in [
        ("messages", "lockstep.interface.updated"),
        ("asyncapi", "lockstep.interface.updated"),
        ("openapi", "/webhooks/{forge}/{repository}"),
        ("openapi console", "/v1/executions/{execution}/elements"),
    ] {
        let output = lockstep(folder.path(), &format!("schema {what}"), &[])?;
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        ensure!(schema.to_string().contains(expected), "{what}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_find_a_running_up_without_options() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let folder = scene.folder();
    std::fs::write(
        folder.join("fleet.yml"),
        "- {hostname: sw1, device_type: ACCESS, synchronized: true}\n",
    )?;
    let up = scene.worker(&[])?;
    let file = folder.join("lockstep-data/console.json");
    lockstep_testbed::wait::until(
        "the console's address",
        std::time::Duration::from_secs(30),
        async || {
            if file.exists() {
                Ok(())
            } else {
                Err("it is not there".to_owned())
            }
        },
    )
    .await?;
    let updated = r#"{"hostname":"sw1","kind":"configuration","interfaces":[{"name":"Ethernet1"}]}"#;
    let table = [
        ("up --listen 127.0.0.1:0".to_owned(), 78, "in use by another"),
        (
            "devices import fleet.yml".to_owned(),
            0,
            "imported 1 device and 0 interfaces",
        ),
        (
            format!("publish lockstep.interface.updated --wait --data {updated}"),
            0,
            "1 sync flag changed",
        ),
        (
            format!("publish lockstep.interface.updated --id zz1 --wait --data {updated}"),
            0,
            "applied",
        ),
        (
            format!(
                "publish lockstep.interface.updated --id zz1 --wait --data {}",
                updated.replace("sw1", "sw2")
            ),
            1,
            "id-reused",
        ),
        ("devices list --unsynchronized".to_owned(), 0, "interface_updated"),
        (
            "devices set-state sw1 unmanaged --note broken".to_owned(),
            0,
            "applied",
        ),
        ("devices show sw1".to_owned(), 0, "broken"),
        (
            "devices set-state sw9 unmanaged".to_owned(),
            1,
            "unknown-device at $.data.hostname",
        ),
        (
            "publish lockstep.interface.updated --wait".to_owned(),
            1,
            "invalid-data",
        ),
        ("devices show sw9".to_owned(), 1, "no device is named"),
    ];
    for (line, code, expected) in table {
        let output = lockstep(folder, &line, &[])?;
        let printed = text(&output.stdout) + &text(&output.stderr);
        ensure!(
            output.status.code() == Some(code),
            "{line}: {} {printed}",
            output.status
        );
        ensure!(printed.contains(expected), "{line}: {printed}");
    }
    let list = lockstep(folder, "devices list --json", &[])?;
    let devices: serde_json::Value = serde_json::from_slice(&list.stdout)?;
    ensure!(devices[0]["causes"][0]["by"] == "local", "{devices}");
    for (typed, expected) in [
        ("devices show s", "sw1"),
        ("executions list --host sw", "sw1"),
        ("providers show comm", "command"),
        ("devices show x", ""),
    ] {
        let shown = completed(folder, typed)?;
        ensure!(shown == expected, "{typed}: {shown}");
    }
    up.stop().await?;
    ensure!(!file.exists(), "the address file is removed");
    Ok(())
}
