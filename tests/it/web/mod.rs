//! The pages in a browser: Debian's Chromium, which playwright-core drives, on a site with simulated devices and a simulated CloudVision.
//!
//! With `LOCKSTEP_SCREENSHOTS=FOLDER`, the pictures of `docs/reference/console.md` are made there.

mod site;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_testbed::install;

use self::site::Site;

/// The driver of the browser, and the checks of accessibility.
const PACKAGES: [&str; 2] = ["playwright-core@1.65.1", "axe-core@4.14.1"];

const CHROMIUM: install::Package = install::Package {
    name: "chromium",
    file: "/usr/bin/chromium",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_does_the_main_job_of_every_page() -> Result<()> {
    install::node().await?;
    install::missing([&CHROMIUM]).await?;
    let modules = lockstep_testbed::node_with(Path::new(env!("CARGO_TARGET_TMPDIR")), &PACKAGES)?;
    let site = Site::start().await?;
    symlink(modules, site.folder().join("node_modules"))?;
    for (name, text) in [
        ("browser.mjs", include_str!("browser.mjs")),
        ("pages.mjs", include_str!("pages.mjs")),
        ("audit.mjs", include_str!("audit.mjs")),
    ] {
        std::fs::write(site.folder().join(name), text)?;
    }
    let (url, token) = site.console()?;
    let mut node = Command::new("node");
    node.arg("pages.mjs")
        .current_dir(site.folder())
        .env("LOCKSTEP_URL", url.trim_end_matches('/'))
        .env("LOCKSTEP_TOKEN", token)
        .env("LOCKSTEP_BIN", env!("CARGO_BIN_EXE_lockstep"));
    let output = tokio::task::spawn_blocking(move || node.output())
        .await?
        .context("run node")?;
    let (printed, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{printed}{errors}");
    site.stop().await
}
