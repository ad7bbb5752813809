//! Runs the commands of `docs/how-to/affected.md` as they are written there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::repository::Repository;

const FLEET: &str = "
devices:
- {hostname: access1, device_type: ACCESS, platform: eos, management_ip: 10.0.0.11}
- {hostname: access2, device_type: ACCESS, platform: eos, management_ip: 10.0.0.12}
- {hostname: core1, device_type: CORE, platform: eos}
- {hostname: edge-dist1, device_type: DIST, platform: eos}
management_domains: [{id: 1, device_a: core1, device_b: edge-dist1, ipv4_gw: 10.0.0.1/24, vlan: 600}]
";

fn page() -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to/affected.md");
    std::fs::read_to_string(file).context("cannot read docs/how-to/affected.md")
}

/// The code blocks of the page in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let blocks = page.split(&opening).skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
        .collect()
}

/// A clone as CI checks it out: `main` is one commit behind the merged change.
fn clone(change: &str) -> Result<(Repository, tempfile::TempDir, String)> {
    let origin = Repository::new()?;
    let groups = "groups: [{group: {name: EDGE, regex: edge-, group_priority: 9}}]\n";
    let file = "100644";
    let base = [
        (file, &b"fleet.yml"[..], FLEET),
        (file, b"global/groups.yml", groups),
    ];
    let first = origin.commit(&base)?;
    let mut changed = base.to_vec();
    changed.push((file, change.as_bytes(), "ntp_servers: []\n"));
    origin.commit(&changed)?;
    let folder = tempfile::tempdir()?;
    let to = folder.path().to_str().context("a path")?;
    origin.git(&["clone", "--quiet", ".", to], b"")?;
    // `main` of a developer who works on a branch.
    let detach = Command::new("git")
        .args(["-C", to, "checkout", "--quiet", "--detach"])
        .status()?;
    let back = Command::new("git")
        .args(["-C", to, "branch", "--force", "main", &first])
        .status()?;
    ensure!(detach.success() && back.success());
    Ok((origin, folder, first))
}

/// Runs a script as a CI runner does, with `lockstep` in its path.
fn run(script: &str, folder: &Path, base: &str) -> Result<Output> {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_lockstep"));
    let beside = binary.parent().context("a folder")?.display();
    let script = format!("PATH='{beside}':$PATH\n{script}");
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder);
    command.env("CI_MERGE_REQUEST_DIFF_BASE_SHA", base);
    command.output().context("cannot run bash")
}

#[test]
fn the_commands_do_what_the_page_says() -> Result<()> {
    let page = page()?;
    let (_origin, folder, base) = clone("access/base_system.yml")?;
    let commands = blocks(&page, "sh");
    ensure!(commands.len() == 3, "{commands:?}");
    let output = run(&commands[0], folder.path(), &base)?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{stderr}");
    let mut shown = vec![String::from_utf8(output.stdout)? + &stderr];
    let templates = folder.path().join("templates/eos");
    std::fs::create_dir_all(&templates)?;
    std::fs::write(templates.join("mapping.yml"), "ACCESS: {entrypoint: access.j2}\n")?;
    std::fs::write(templates.join("access.j2"), "{{ hostname }} {{ ntp_servers }}\n")?;
    let output = run(&commands[2], folder.path(), &base)?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{stderr}");
    shown.push(String::from_utf8(output.stdout)? + &stderr);
    ensure!(blocks(&page, "text") == shown, "{shown:?}");
    let output = run(&commands[1], folder.path(), &base)?;
    ensure!(output.status.success() && String::from_utf8(output.stdout)?.contains("\nedge-dist1  DIST"));
    Ok(())
}

#[test]
fn the_workflows_accept_a_small_change_and_refuse_a_large_one() -> Result<()> {
    let workflows: Vec<Value> = blocks(&page()?, "yaml")
        .iter()
        .map(|text| serde_norway::from_str(text).context("no YAML"))
        .collect::<Result<_>>()?;
    let [github, gitlab] = workflows.as_slice() else {
        anyhow::bail!("{workflows:?}");
    };
    let script = |value: &Value| value.as_str().map(str::to_owned).context("no script");
    let scripts = [
        script(&github["jobs"]["affected"]["steps"][1]["run"])?,
        script(&gitlab["affected"]["script"][0])?,
    ];
    for script in scripts {
        for (change, accepted) in [
            ("access/base_system.yml", true),
            ("global/base_system.yml", false),
        ] {
            let (_origin, folder, base) = clone(change)?;
            let output = run(&script, folder.path(), &base)?;
            let stderr = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success() == accepted, "{change}: {stderr}");
            ensure!(
                accepted || stderr.contains("4 devices would become unsynchronized, --max-devices allows 2")
            );
        }
    }
    Ok(())
}
