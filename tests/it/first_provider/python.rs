//! `docs/tutorials/first-provider-python.md`. The program of the page is an example of the external providers.

use anyhow::{Result, ensure};
use lockstep_testbed::free_port;

use super::{block, has_check};
use crate::system::Page;

const PAGE: &str = include_str!("../../../docs/tutorials/first-provider-python.md");
const PROGRAM: &str = include_str!("../../../worker/external/examples/tcp_port.py");

#[test]
fn the_program_on_the_page_is_the_example() -> Result<()> {
    let same = block(PAGE, "python")? == PROGRAM;
    ensure!(same, "copy worker/external/examples/tcp_port.py to the page");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_provider_goes_as_written() -> Result<()> {
    let fleet = free_port()?;
    let mut page = Page::new(
        PAGE,
        vec![
            ("../lockstep/", format!("{}/", env!("CARGO_MANIFEST_DIR"))),
            ("--devices 3", format!("--devices 3 --listen 127.68.0.1:{fleet}")),
            ("8443", fleet.to_string()),
            (
                "[providers.tcp_port]",
                "[console]\nlisten = \"127.0.0.1:0\"\n\n[gateway]\nlisten = \"127.0.0.1:0\"\n\n[providers.tcp_port]".to_owned(),
            ),
        ],
    )?;
    page.run("pip install")?;
    std::fs::write(page.folder().join("tcp_port.py"), block(PAGE, "python")?)?;
    let alone = page.run("tcp_port.py test")?;
    ensure!(alone.contains("\"nok\""), "{alone}");
    page.run("providers describe")?;
    page.logged("fleet.log", "simulated devices listen").await?;
    page.run("lockstep up")?;
    page.logged("up.log", "worker started").await?;
    let shown = page.run("providers show tcp_port")?;
    ensure!(
        shown.contains("Checks whether a TCP port of devices answers."),
        "{shown}"
    );
    let ran = page.run("tasks save")?;
    ensure!(
        ran.contains("SUCCESSFUL") && has_check(&ran, "https", "ok") && has_check(&ran, "https", "nok"),
        "{ran}"
    );
    let broken = page.run("begin")?;
    ensure!(
        broken.contains("NameError") || broken.contains("begin"),
        "{broken}"
    );
    let repaired = page.run("- start/")?;
    ensure!(repaired.contains("SUCCESSFUL"), "{repaired}");
    page.run("kill")?;
    page.ended()
}
