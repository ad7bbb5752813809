//! The last step: a sweep of a simulated CloudVision cancels the empty tasks and no other.

use std::path::Path;

use anyhow::{Context, ensure};
use lockstep_cvp::sweep::Summary;
use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario};
use serde_json::{Value, json};

use crate::cli::cvp::sweep_once;
use crate::cli::output;
use crate::config::Config;

const TITLE: &str = "CloudVision has fourteen pending tasks; three of them have nothing left to do";

/// Runs the step, and fails unless exactly the three empty tasks were cancelled.
pub(super) async fn run(folder: &Path, json: bool) -> anyhow::Result<Value> {
    let options = Options::default();
    let login = format!(
        "username = {:?}\npassword = {:?}\n",
        options.username, options.password
    );
    let simulator = CvpSimulator::start(Scenario::seed(), options).await?;
    let ca_file = folder.join("cvp-ca.pem");
    std::fs::write(&ca_file, simulator.ca_pem()).context("cannot write the certificate")?;
    let host = simulator
        .addresses()
        .first()
        .context("the simulator has no address")?
        .to_string();
    let file = folder.join("cvp.toml");
    let ca_file = toml::Value::from(ca_file.display().to_string());
    let text = format!("[cvp.demo]\nhosts = [{host:?}]\nca_file = {ca_file}\n{login}");
    std::fs::write(&file, text).context("cannot write the configuration")?;
    let config = Config::alone(&file)?;
    let cluster = config
        .cvp
        .get("demo")
        .context("the configuration has no cluster")?;

    let swept = sweep_once(cluster).await?;
    let Summary {
        listed,
        cancelled,
        kept,
        ..
    } = swept.summary;
    ensure!((listed, cancelled, kept) == (14, 3, 11), "{:?}", swept.summary);
    ensure!(
        simulator.cancelled().len() == 3,
        "CloudVision has other cancelled tasks"
    );
    if !json {
        output::line(&format!("● {TITLE}"));
        output::line(&format!(
            "  lockstep cvp sweep → {cancelled} cancelled, {kept} kept: not compliant"
        ));
    }
    Ok(json!({"title": TITLE, "tasks": swept.tasks, "counts": swept.summary}))
}
