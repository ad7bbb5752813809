//! `docs/tutorials/first-provider.md`. The program of the page is an example of the package, so that it is built with
//! the tests; only `cargo build` in a package of its own is left out.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::free_port;

use super::{block, has_check};
use crate::system::Page;

const PAGE: &str = include_str!("../../../docs/tutorials/first-provider.md");
const PROGRAM: &str = include_str!("../../../docs/examples/uptime.rs");

/// The program of the page, for its unit tests.
#[path = "../../../docs/examples/uptime.rs"]
#[expect(dead_code, reason = "only its tests run here")]
mod program;

#[test]
fn the_program_on_the_page_is_the_example() -> Result<()> {
    ensure!(
        block(PAGE, "rust")? == PROGRAM,
        "copy docs/examples/uptime.rs to the page"
    );
    Ok(())
}

#[test]
fn the_package_on_the_page_has_the_versions_of_lockstep() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace: toml::Table = std::fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let workspace = workspace["workspace"]["dependencies"].clone();
    let package: toml::Table = block(PAGE, "toml")?.parse()?;
    let dependencies = package["dependencies"].as_table().context("no table")?;
    for (name, version) in dependencies.iter().filter(|(name, _)| *name != "lockstep") {
        let used = &workspace[name.as_str()];
        let used = used.get("version").unwrap_or(used);
        ensure!(
            version == used,
            "{name} is {used} in Lockstep, and {version} on the page"
        );
        let path = format!("{}::", name.replace('-', "_"));
        ensure!(PROGRAM.contains(&path), "{name} is not used");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_provider_goes_as_written() -> Result<()> {
    let fleet = free_port()?;
    let mut page = Page::new(
        PAGE,
        vec![
            ("cargo build", String::new()),
            ("--devices 3", format!("--devices 3 --listen 127.67.0.1:{fleet}")),
            ("port = 8443", format!("port = {fleet}")),
            (
                "[devices]\n",
                "[console]\nlisten = \"127.0.0.1:0\"\n\n[gateway]\nlisten = \"127.0.0.1:0\"\n\n[devices]\n"
                    .to_owned(),
            ),
        ],
    )?;
    let built = page.folder().join("target/debug");
    std::fs::create_dir_all(&built)?;
    let example = Path::new(env!("CARGO_BIN_EXE_lockstep")).with_file_name("examples/uptime");
    ensure!(
        example.exists(),
        "{} is missing; it is built with the tests",
        example.display()
    );
    std::os::unix::fs::symlink(example, built.join("my-lockstep"))?;

    page.run("my-lockstep --version")?;
    page.run("simulate fleet")?;
    page.logged("fleet.log", "3 simulated devices listen").await?;
    page.run("my-lockstep up")?;
    page.logged("up.log", "worker started").await?;
    let shown = page.run("providers show uptime")?;
    ensure!(shown.contains("Checks that devices did not restart."), "{shown}");
    let ran = page.run("tasks save")?;
    ensure!(ran.contains("SUCCESSFUL"), "{ran}");
    let [ok, restarted] = [ran, page.run("hours=48")?];
    for (printed, result) in [(&ok, "ok"), (&restarted, "nok")] {
        ensure!(
            has_check(printed, "restarted", result),
            "no check that is {result}: {printed}"
        );
    }
    let refused = page.run("long")?;
    ensure!(refused.contains("hours"), "{refused}");
    page.run("kill")?;
    page.ended()
}
