//! Runs the commands of the README's section about settings in git, in a shell in an empty folder.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{free_port, wait};

use crate::system::{PATIENCE, Process};

/// The shell code blocks of a section.
fn blocks(section: &str) -> Result<Vec<&'static str>> {
    let readme: &str = include_str!("../../README.md");
    let (_, rest) = readme
        .split_once(&format!("\n## {section}\n"))
        .context("no such section")?;
    let text = rest.split_once("\n## ").map_or(rest, |(text, _)| text);
    let blocks = text.split("```sh\n").skip(1);
    Ok(blocks.filter_map(|block| block.split("```").next()).collect())
}

/// Runs a block in a shell and returns its output.
fn shell(folder: &Path, script: &str) -> Result<String> {
    let lockstep = Path::new(env!("CARGO_BIN_EXE_lockstep"));
    let programs = lockstep.parent().context("a folder")?;
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    let mut command = Command::new("bash");
    command
        .current_dir(folder)
        .arg("-euo")
        .arg("pipefail")
        .arg("-c")
        .arg(script);
    command.env_clear().env("PATH", path).env("HOME", folder);
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "nobody")
            .env(format!("GIT_{who}_EMAIL"), "nobody@example.org");
    }
    let output = command.output()?;
    let (out, err) = (
        String::from_utf8(output.stdout)?,
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{script}\n{out}{err}");
    Ok(out)
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_in_git_work_as_typed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let fleet = "- {hostname: sw1, device_type: ACCESS, platform: eos, synchronized: true}\n\
                 - {hostname: sw2, device_type: ACCESS, platform: eos, synchronized: true}\n\
                 - {hostname: core1, device_type: CORE, platform: eos}\n";
    ensure!(
        include_str!("../../README.md").contains(fleet),
        "the fleet of the README"
    );
    std::fs::write(folder.path().join("fleet.yml"), fleet)?;
    let blocks = blocks("Settings in git")?;
    let [begin, change, push] = blocks[..] else {
        anyhow::bail!("{} blocks", blocks.len());
    };

    let (make, up) = begin.split_once("\nexport ").context("exports")?;
    shell(folder.path(), make)?;
    let exports: Vec<(String, String)> = up
        .lines()
        .filter_map(|line| line.trim_start_matches("export ").split_once('='))
        .map(|(name, value)| {
            let here = folder.path().display().to_string();
            (name.to_owned(), value.replace("$PWD", &here))
        })
        .collect();
    ensure!(exports.len() == 2 && up.ends_with("lockstep up\n"), "{up}");
    let gateway = format!("127.0.0.1:{}", free_port()?);
    let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", &gateway];
    let lockstep = Process::start(folder.path(), &arguments, &exports)?;
    wait::until("lockstep to be up", PATIENCE, async || {
        let log = lockstep.log().map_err(|error| error.to_string())?;
        if log.contains("lockstep is up") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await?;

    let out = shell(folder.path(), change)?;
    let concerned: Vec<&str> = out.lines().filter(|line| line.ends_with("ACCESS  eos")).collect();
    ensure!(concerned.len() == 2 && !out.contains("core1"), "{out}");
    let before = shell(
        folder.path(),
        "lockstep devices list --unsynchronized --type ACCESS --json",
    )?;
    ensure!(before.trim() == "[]", "{before}");

    ensure!(push.contains("http://127.0.0.1:8911/"), "{push}");
    let out = shell(folder.path(), &push.replace("127.0.0.1:8911", &gateway))?;
    ensure!(out.contains("\"messages\""), "{out}");
    wait::until("the flags", PATIENCE, async || {
        let list = shell(
            folder.path(),
            "lockstep devices list --unsynchronized --type ACCESS",
        );
        let list = list.map_err(|error| format!("{error:#}"))?;
        let flagged = |hostname: &str| {
            list.lines()
                .any(|line| line.starts_with(hostname) && line.ends_with("refresh_settings"))
        };
        if flagged("sw1") && flagged("sw2") {
            Ok(())
        } else {
            Err(list)
        }
    })
    .await?;
    let tip = shell(folder.path(), "git -C settings rev-parse HEAD")?;
    let list = shell(folder.path(), "lockstep repositories list --json")?;
    ensure!(list.contains(tip.trim()), "{list}");
    lockstep.stop().await
}
