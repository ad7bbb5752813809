//! Tokens, their limits and the audit, at a running `lockstep up`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::system::{Process, shell};

const FLEET: &str = "devices:
- {hostname: sw1, device_type: ACCESS, platform: eos, state: MANAGED, synchronized: true, groups: [oslo]}
- {hostname: sw2, device_type: ACCESS, platform: eos, state: MANAGED, synchronized: true, groups: [bergen]}
";

async fn up(folder: &Path) -> Result<Process> {
    let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"];
    let process = Process::start(folder, &arguments, &[])?;
    process.prints("lockstep messages show").await?;
    std::fs::write(folder.join("fleet.yml"), FLEET)?;
    std::fs::write(
        folder.join("uptime.yml"),
        "{name: uptime, provider: command, arguments: {commands: [show version]}}\n",
    )?;
    shell(
        folder,
        "lockstep devices import fleet.yml && lockstep tasks save uptime.yml",
    )?;
    Ok(process)
}

/// Runs a script whose commands use this token; `$T` begins each of them.
fn with_token(folder: &Path, secret: &str, script: &str) -> Result<String> {
    let console = std::fs::read_to_string(folder.join("lockstep-data/console.json"))?;
    let console: Value = serde_json::from_str(&console)?;
    let url = console["url"].as_str().context("no address")?;
    std::fs::write(folder.join("token"), secret)?;
    shell(
        folder,
        &format!("export LOCKSTEP_URL={url} LOCKSTEP_TOKEN_FILE=token\n{script}"),
    )
}

/// What a command that fails says.
fn refused(folder: &Path, secret: &str, command: &str) -> Result<String> {
    let script = format!("if {command} 2>errors; then echo 'it succeeded'; else cat errors; fi");
    let said = with_token(folder, secret, &script)?;
    ensure!(!said.contains("it succeeded"), "{command}: {said}");
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_acts_as_its_person_within_its_limits_and_the_audit_tells() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let process = up(folder).await?;
    let secret = shell(
        folder,
        "lockstep tokens create night --person carol --role operator --group oslo --task uptime --expires 90d",
    )?;
    let secret = secret.trim();
    ensure!(secret.starts_with("lockstep_"), "{secret}");

    with_token(
        folder,
        secret,
        "lockstep devices mark sw1 --unsynchronized --reason 'looked odd'
         lockstep tasks run uptime --host sw1",
    )?;
    let shown = shell(folder, "lockstep devices why sw1")?;
    ensure!(shown.contains("carol"), "{shown}");
    for (command, said) in [
        ("lockstep devices mark sw2 --unsynchronized", "sw2"),
        ("lockstep devices set-state sw2 UNMANAGED", "sw2"),
        ("lockstep tasks run uptime --host sw2", "sw2"),
        ("lockstep tasks run uptime --all", "sw2"),
        ("lockstep sync plan --host sw1", "uptime"),
        ("lockstep tasks delete uptime", "limited to"),
        ("lockstep tokens list", "role admin"),
    ] {
        let found = refused(folder, secret, command)?;
        ensure!(
            found.contains(said) && found.contains("not-allowed"),
            "{command}: {found}"
        );
    }
    let unsynchronized = shell(
        folder,
        "lockstep devices list --unsynchronized --columns hostname -o csv",
    )?;
    ensure!(!unsynchronized.contains("sw2"), "{unsynchronized}");

    let of_carol = |outcome: &str| -> Result<Vec<Value>> {
        let listed = format!("lockstep audit list --principal carol --outcome {outcome} --json");
        Ok(serde_json::from_str(&shell(folder, &listed)?)?)
    };
    let listed = of_carol("asked")?;
    let last = listed.last().context("an entry")?;
    ensure!(
        last["reason"] == "looked odd" && last["token"] == "night" && last["subject"] == "sw1",
        "{last}"
    );
    // The console refused the others before it published them.
    ensure!(listed.len() == 6, "{listed:#?}");
    // Of those that it published, workers decided.
    ensure!(of_carol("applied")?.len() == 2, "{:#?}", of_carol("applied")?);
    let refused_by_workers = of_carol("refused")?;
    ensure!(
        refused_by_workers.len() == 4
            && refused_by_workers.iter().all(|entry| {
                let detail = entry["detail"].as_str().unwrap_or_default();
                entry["code"] == "not-allowed" && detail.contains("sw2")
            }),
        "{refused_by_workers:#?}"
    );
    let dead = shell(folder, "lockstep dead list --json")?;
    ensure!(dead.trim() == "[]", "who waits is told: {dead}");
    let id = last["message_id"].as_str().context("an id")?;
    let both = shell(folder, &format!("lockstep audit list --message {id} --json"))?;
    let both: Vec<Value> = serde_json::from_str(&both)?;
    ensure!(
        both.len() == 2 && both[0]["outcome"] == "applied" && both[1]["outcome"] == "asked",
        "{both:#?}"
    );
    let source = last["message_source"].as_str().context("a source")?;
    let outcome = shell(
        folder,
        &format!("lockstep messages show {id} --source {source} --by carol"),
    )?;
    ensure!(outcome.contains("applied"), "{outcome}");
    let exported = shell(folder, "lockstep audit export --kind token-created")?;
    ensure!(
        exported.contains("night") && !exported.contains(secret),
        "{exported}"
    );

    shell(folder, "lockstep tokens revoke night --reason 'night is over'")?;
    let after = refused(folder, secret, "lockstep devices list")?;
    ensure!(after.contains("does not accept this token"), "{after}");
    process.stop().await
}
