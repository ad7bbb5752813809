//! Runs the commands of `docs/how-to/from-neops.md` as they are written, block by block.

use anyhow::{Context, Result, ensure};
use lockstep_testbed::free_port;

use crate::system::Page;

const PAGE: &str = include_str!("../../docs/how-to/from-neops.md");

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_neops_move_as_written() -> Result<()> {
    let (fleet, console) = (free_port()?, free_port()?);
    let mut page = Page::new(
        PAGE,
        vec![
            ("../lockstep/", format!("{}/", env!("CARGO_MANIFEST_DIR"))),
            ("--devices 3", format!("--devices 3 --listen 127.69.0.1:{fleet}")),
            ("port = 8443", format!("port = {fleet}")),
            ("127.0.0.1:8910", format!("127.0.0.1:{console}")),
            (
                "[devices]\n",
                "[gateway]\nlisten = \"127.0.0.1:0\"\n\n[devices]\n".to_owned(),
            ),
        ],
    )?;
    page.run("simulate fleet")?;
    page.logged("fleet.log", "3 simulated devices listen").await?;
    let program = PAGE.split("```python\n").nth(1).context("no program")?;
    let program = program.split("```").next().context("a block without its end")?;
    std::fs::write(page.folder().join("banner.py"), program)?;
    page.run("providers describe")?;
    page.run("lockstep up")?;
    page.logged("up.log", "worker started").await?;
    let saved = page.block("neopsTaskUpsert")?;
    // Later blocks use the function, too.
    let function = saved.split("lockstep devices").next().context("no function")?;
    let ran = crate::system::shell(page.folder(), &format!("{}{saved}", page.exports()))?;
    ensure!(
        ran.matches("neopsTask").count() >= 2 && !ran.contains("errors"),
        "{ran}"
    );
    page.export(function);
    let listed = page.run("tasks save")?;
    ensure!(listed.contains("inventory report"), "{listed}");
    let called = page.run("neopsTaskExecute")?;
    ensure!(
        called.contains(r#"{"id":"1","name":"version"}"#) && called.contains("SUCCESSFUL"),
        "{called}"
    );
    let refused = page.run("contact")?;
    ensure!(
        refused.contains("errors") && refused.contains("taskArguments.contact"),
        "{refused}"
    );
    let chained = page.run("inventory report")?;
    ensure!(
        chained.contains("SUCCESSFUL") && chained.contains("Property of leaf00001, anna"),
        "{chained}"
    );
    page.run("kill")?;
    page.ended()
}
