//! A sync: a push to the settings flags devices, a plan shows what would change, its application brings the devices in lockstep, and the
//! CloudVision task of one that is compliant now is cancelled.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use lockstep_protocol::commands::{
    RepositoryAcceptRequested, RepositoryRefreshRequested, SyncRequested, SyncTargets,
};
use lockstep_protocol::events::InventoryImported;
use lockstep_protocol::rest::{ExecutionView, SyncDeviceView};
use lockstep_protocol::results::{EventApplied, ExecutionAccepted};
use lockstep_protocol::{CommitId, RepositoryName};
use lockstep_simulators::cvp::{CvpSimulator, Endpoint, Options, Scenario};
use lockstep_simulators::fleet::FleetSimulator;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::STEP_TIMEOUT;
use super::task::{self, GROUP, UNREACHABLE};
use crate::cli::client::Client;
use crate::cli::output;
use crate::cli::sync::plan;
use crate::config::Config;

const TITLE: &str = "A name server is pushed to the settings of group leaves: the devices are planned, configured and synchronized";

/// What the push adds to each configuration.
const ADDED: &str = "ip name-server vrf default 192.0.2.53";

/// The task of the first device has nothing left to do after the sync; that of the second one has.
const TASKS: [&str; 2] = ["1901", "1902"];

const POLL: std::time::Duration = std::time::Duration::from_millis(100);

/// Renders what the simulated devices begin with, and the name servers.
const TEMPLATE: &str = "hostname {{ hostname }}
!
{% for server in dns_servers %}
ip name-server vrf default {{ server.host }}
{% endfor %}
{% for port in range(1, 5) %}
interface Ethernet{{ port }}
   description server {{ port }}
   switchport access vlan {{ 100 + port }}
!
{% endfor %}
management api http-commands
   no shutdown
!
end
";

/// What the step needs before Lockstep starts.
pub(super) struct Site {
    settings: PathBuf,
    templates: PathBuf,
    cvp: CvpSimulator,
}

/// Makes the repositories and a CloudVision, and lets this configuration know them.
pub(super) async fn start(
    folder: &Path,
    config: &mut Config,
    fleet: &FleetSimulator,
) -> anyhow::Result<Site> {
    let (settings, templates) = (folder.join("settings"), folder.join("templates"));
    let groups = "groups:\n- group: {name: leaves, regex: 'leaf.*', group_priority: 100}\n";
    repository(&settings, &[("global/groups.yml", groups)])?;
    let mapping = "ACCESS:\n  entrypoint: access.j2\n";
    repository(
        &templates,
        &[("eos/mapping.yml", mapping), ("eos/access.j2", TEMPLATE)],
    )?;

    let mut scenario = Scenario::default();
    for (index, task) in TASKS.into_iter().enumerate() {
        let (hostname, mac, serial) = fleet.edit(index, |device| {
            (
                device.hostname.clone(),
                device.system_mac.clone(),
                device.serial.clone(),
            )
        });
        scenario = scenario
            .with_pending(task, &mac, &hostname, "0001")
            .edited(|world| world.device_mut(&mac).serial = serial);
    }
    let options = Options::default();
    let (username, password) = (options.username.clone(), options.password.clone());
    let cvp = CvpSimulator::start(scenario, options).await?;
    let ca_file = folder.join("cluster-ca.pem");
    std::fs::write(&ca_file, cvp.ca_pem()).context("cannot write the certificate")?;
    let host = cvp
        .addresses()
        .first()
        .context("the simulator has no address")?
        .to_string();
    let text = json!({
        "repositories": {"settings": {"url": settings}, "templates": {"url": templates}},
        "sync": {"read_back_pause": "100ms"},
        "cvp": {"campus": {"hosts": [host], "username": username, "password": password, "ca_file": ca_file,
            "min_age_seconds": 0, "reading_gap_ms": 100, "sweep_when_synchronized": true}},
    });
    let file = folder.join("sync.toml");
    std::fs::write(&file, toml::to_string(&text)?).context("cannot write the configuration")?;
    let Config {
        repositories,
        sync,
        cvp: clusters,
        ..
    } = Config::alone(&file)?;
    config.repositories = repositories;
    config.sync = sync;
    config.cvp = clusters;
    Ok(Site {
        settings,
        templates,
        cvp,
    })
}

/// Makes a repository with these files in its first commit.
fn repository(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<()> {
    std::fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    git(folder, &["init", "-q", "-b", "main"])?;
    commit(folder, files, "Begin")
}

fn commit(folder: &Path, files: &[(&str, &str)], subject: &str) -> anyhow::Result<()> {
    for (name, text) in files {
        let file = folder.join(name);
        let parent = file.parent().context("a file has a folder")?;
        std::fs::create_dir_all(parent)?;
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    git(folder, &["add", "-A"])?;
    git(folder, &["commit", "-q", "-m", subject]).map(drop)
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments);
    // The user's own settings, such as hooks and signatures, play no part.
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "demo")
            .env(format!("GIT_{who}_EMAIL"), "demo@example.org");
    }
    let output = command.output().context("cannot run git; install it")?;
    ensure!(
        output.status.success(),
        "git {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Runs the step, and fails unless all but the unreachable device got exactly the planned difference and are synchronized.
pub(super) async fn run(
    client: &Client,
    fleet: &FleetSimulator,
    site: &Site,
    json: bool,
) -> anyhow::Result<Value> {
    let flagged = push(client, fleet, site).await?;
    let reachable = fleet.addresses().len() - 1;
    let (planned, differences) = synced(client, group()?).await?;
    ensure!(
        usize::try_from(planned.done)? == reachable && planned.failed == 1,
        "{planned:?}"
    );
    for device in differences
        .iter()
        .filter(|device| device.hostname.as_str() != UNREACHABLE)
    {
        let diff = device.diff.as_deref().unwrap_or_default();
        ensure!(
            device.changed && diff.contains(&format!("+{ADDED}")),
            "{device:?}"
        );
    }
    // CloudVision is asked only after it noticed the new configuration.
    let hold = site.cvp.hold(Endpoint::Tasks, None);
    let plan = SyncRequested {
        plan: Some(planned.id),
        dry_run: false,
        ..plan::request()
    };
    let (applied, _) = synced(client, plan).await?;
    ensure!(usize::try_from(applied.done)? == reachable, "{applied:?}");
    for index in 0..fleet.addresses().len() {
        let hostname = fleet.edit(index, |device| device.hostname.clone());
        let synchronized = client.device(&hostname).await?.synchronized;
        ensure!(
            synchronized == (hostname != UNREACHABLE),
            "{hostname} has another flag"
        );
        ensure!(
            synchronized == fleet.running_configuration(index).contains(ADDED),
            "the flag of {hostname} is wrong"
        );
    }
    let mac = fleet.edit(0, |device| device.system_mac.clone());
    site.cvp.edit(|world| world.device_mut(&mac).set_code("0000"));
    drop(hold);
    cancelled(&site.cvp).await?;
    if !json {
        show(&flagged, &planned, &differences, &applied);
    }
    Ok(
        json!({"title": TITLE, "flagged": flagged, "plan": planned, "devices": differences, "application": applied,
        "cancelled": [TASKS[0]]}),
    )
}

/// Imports what rendering needs, accepts the first commits, and pushes another one.
async fn push(client: &Client, fleet: &FleetSimulator, site: &Site) -> anyhow::Result<EventApplied> {
    let first = fleet
        .addresses()
        .first()
        .copied()
        .context("the fleet has no address")?;
    let gateway = format!("{}/24", first.ip());
    let domain = json!({"id": 1, "device_a": "dist1", "device_b": "dist2", "ipv4_gw": gateway, "vlan": 600});
    let inventory = InventoryImported {
        management_domains: vec![serde_json::from_value(domain)?],
        ..InventoryImported::default()
    };
    task::applied(client, inventory).await?;
    for (name, folder) in [("settings", &site.settings), ("templates", &site.templates)] {
        let commit: CommitId = serde_json::from_value(git(folder, &["rev-parse", "HEAD"])?.into())?;
        let repository: RepositoryName = serde_json::from_value(name.into())?;
        task::applied(client, RepositoryAcceptRequested { repository, commit }).await?;
    }
    let added = "dns_servers: [{host: 192.0.2.53}]\n";
    commit(
        &site.settings,
        &[("groups/leaves/base_system.yml", added)],
        "A name server",
    )?;
    let refresh = RepositoryRefreshRequested {
        repository: serde_json::from_value("settings".into())?,
    };
    let flagged: EventApplied = serde_json::from_value(task::applied(client, refresh).await?)?;
    ensure!(
        usize::try_from(flagged.flipped)? == fleet.addresses().len(),
        "{flagged:?}"
    );
    Ok(flagged)
}

fn group() -> anyhow::Result<SyncRequested> {
    let group = SyncTargets::Group(GROUP.to_owned().try_into()?);
    Ok(SyncRequested {
        targets: Some(group),
        ..plan::request()
    })
}

/// Waits for the end of a sync, and returns its devices, too.
async fn synced(
    client: &Client,
    request: SyncRequested,
) -> anyhow::Result<(ExecutionView, Vec<SyncDeviceView>)> {
    let accepted = task::applied(client, request).await?;
    let accepted: ExecutionAccepted =
        serde_json::from_value(accepted).context("the sync was not accepted")?;
    let execution = task::ended(client, &accepted).await?;
    let devices = client
        .sync_devices(&execution.number.to_string(), &[])
        .await?
        .devices;
    Ok((execution, devices))
}

/// Waits until the task of the compliant device is cancelled. Fails if another one is.
async fn cancelled(cvp: &CvpSimulator) -> anyhow::Result<()> {
    let deadline = Instant::now() + STEP_TIMEOUT;
    loop {
        let cancelled = cvp.cancelled();
        if cancelled == TASKS[..1] {
            return Ok(());
        }
        if !cancelled.is_empty() || Instant::now() >= deadline {
            bail!("CloudVision has other cancelled tasks: {cancelled:?}");
        }
        tokio::time::sleep(POLL).await;
    }
}

fn show(
    flagged: &EventApplied,
    planned: &ExecutionView,
    devices: &[SyncDeviceView],
    applied: &ExecutionView,
) {
    output::line(&format!("● {TITLE}"));
    output::line(&format!(
        "  git push, lockstep repositories refresh → {} devices flagged",
        flagged.flipped
    ));
    output::line(&format!(
        "  lockstep sync plan → {} would change, {} failed",
        planned.done, planned.failed
    ));
    for device in devices {
        let said = match &device.diff {
            Some(_) => format!("+{ADDED}"),
            None => device.message.clone().unwrap_or_default(),
        };
        output::line(&format!("    {}: {said}", device.hostname));
    }
    output::line(&format!(
        "  lockstep sync apply → {} changed, read back, confirmed and synchronized",
        applied.done
    ));
    output::line(&format!(
        "  CloudVision finds leaf00001 compliant → its task {} is cancelled; task {} of leaf00002 is kept",
        TASKS[0], TASKS[1]
    ));
}
