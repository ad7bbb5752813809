#[cfg(feature = "simulators")]
mod cvp;
#[cfg(feature = "simulators")]
mod cycle;
#[cfg(feature = "simulators")]
mod sync;
#[cfg(feature = "simulators")]
mod task;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::InboxState;
use lockstep_protocol::events::{
    DeviceProvisioned, ImportedDevice, InterfaceUpdated, InventoryImported, ProvisionedNeighbor, UpdateKind,
    UpdatedInterface,
};
use lockstep_protocol::rest::MessageView;
use lockstep_protocol::{
    DeviceState, DeviceType, Envelope, Hostname, Message, Source, commands::DeviceStateRequested,
};
use serde_json::json;

use super::client::Client;
use super::devices::list::{DeviceListing, show};
use super::list;
use super::{Global, outcome, output};
use crate::config::Config;
use crate::roles;

/// How long a step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// Run a demonstration: events set sync flags, a sweep cancels empty CloudVision tasks, tasks and a sync run on simulated devices
///
/// Runs everything in this process and in a temporary folder, which is deleted at the end. It does not read your configuration, and
/// connects to nothing outside.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep demo
  lockstep demo --json")]
pub(super) struct Demo {}

impl Demo {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut config = Config::embedded(folder.path())?;
        let fleet = start_fleet(folder.path(), &mut config).await?;
        let (started, address) = tokio::sync::oneshot::channel();
        let up = roles::up(&config, |address, _gateway| {
            // The receiver is gone only if the demo is over.
            let _ = started.send(address.clone());
        });
        let demo = async {
            let address = address.await.context("Lockstep did not start")?;
            play(&Client::at(&address)?, folder.path(), &fleet, global.json).await
        };
        tokio::select! {
            ended = up => bail!("Lockstep ended before the demo: {ended:?}"),
            done = demo => done?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A message and its expected effect.
struct Scene {
    title: &'static str,
    message: Envelope,
    /// The expected sync flag of one device afterwards.
    expected: (&'static str, bool),
    /// Whether the message is expected to be applied; otherwise it is rejected.
    applies: bool,
}

/// Runs all scenes against a running Lockstep, and fails at the first unexpected effect.
async fn play(client: &Client, folder: &Path, fleet: &Fleet, json: bool) -> anyhow::Result<()> {
    let mut played = Vec::new();
    for scene in scenes()? {
        let view = publish(client, &scene).await?;
        let outcome = match view.state {
            InboxState::Applied => outcome::effect(&view),
            InboxState::Dead | InboxState::Refused => format!("rejected: {}", outcome::rejection(&view)),
        };
        if !json {
            output::line(&format!("● {}", scene.title));
            output::line(&format!("  {} → {outcome}", view.kind));
        }
        played.push(json!({"title": scene.title, "message": view}));
    }
    played.extend(cvp_scene(folder, json).await?);
    played.extend(task_scenes(client, fleet, json).await?);
    let listing = DeviceListing {
        client,
        filters: Vec::new(),
    };
    let devices = list::all(&listing).await?;
    if json {
        output::json(&json!({"scenes": played, "devices": devices}));
        return Ok(());
    }
    output::line("");
    show(&devices);
    output::line("");
    output::line("All of this ran in one process. Start your own with `lockstep up`.");
    Ok(())
}

/// The scene with the simulated CloudVision.
#[cfg(feature = "simulators")]
async fn cvp_scene(folder: &Path, json: bool) -> anyhow::Result<Option<serde_json::Value>> {
    cvp::run(folder, json).await.map(Some)
}

/// Builds without simulators leave the scene out.
#[cfg(not(feature = "simulators"))]
async fn cvp_scene(_folder: &Path, _json: bool) -> anyhow::Result<Option<serde_json::Value>> {
    Ok(None)
}

/// The simulated devices of the scenes with tasks, and what their sync needs.
#[cfg(feature = "simulators")]
struct Fleet {
    devices: lockstep_simulators::fleet::FleetSimulator,
    sync: sync::Site,
}

#[cfg(feature = "simulators")]
async fn start_fleet(folder: &Path, config: &mut Config) -> anyhow::Result<Fleet> {
    let devices = task::start(folder, config).await?;
    let sync = sync::start(folder, config, &devices).await?;
    Ok(Fleet { devices, sync })
}

#[cfg(feature = "simulators")]
async fn task_scenes(client: &Client, fleet: &Fleet, json: bool) -> anyhow::Result<Vec<serde_json::Value>> {
    let devices = &fleet.devices;
    Ok(vec![
        task::run(client, devices, json).await?,
        cycle::run(client, devices.addresses().len(), json).await?,
        sync::run(client, devices, &fleet.sync, json).await?,
    ])
}

/// Builds without simulators have no devices.
#[cfg(not(feature = "simulators"))]
type Fleet = ();

#[cfg(not(feature = "simulators"))]
async fn start_fleet(_folder: &Path, _config: &mut Config) -> anyhow::Result<Fleet> {
    Ok(())
}

#[cfg(not(feature = "simulators"))]
async fn task_scenes(
    _client: &Client,
    _fleet: &Fleet,
    _json: bool,
) -> anyhow::Result<Vec<serde_json::Value>> {
    Ok(Vec::new())
}

async fn publish(client: &Client, scene: &Scene) -> anyhow::Result<MessageView> {
    client.publish(scene.message.encode()).await?;
    let outcome = client
        .outcome(&scene.message.identity, scene.message.digest(), STEP_TIMEOUT)
        .await?;
    let view = outcome.with_context(|| format!("{:?} has no outcome", scene.title))?;
    ensure!(
        (view.state == InboxState::Applied) == scene.applies,
        "{:?} ended as {view:?}",
        scene.title
    );
    let (hostname, synchronized) = scene.expected;
    let device = client.device(hostname).await?;
    ensure!(
        device.synchronized == synchronized,
        "{:?} left {hostname} in another state: {device:?}",
        scene.title
    );
    Ok(view)
}

fn scenes() -> anyhow::Result<Vec<Scene>> {
    let configured = interface("access1", UpdateKind::Configuration)?;
    let again = configured.clone();
    Ok(vec![
        Scene {
            title: "An inventory with five synchronized devices is imported",
            message: fleet()?,
            expected: ("core1", true),
            applies: true,
        },
        Scene {
            title: "The configuration of an interface of access1 changes in the source of truth",
            message: configured,
            expected: ("access1", false),
            applies: true,
        },
        Scene {
            title: "The sender publishes the same event again: it is processed once",
            message: again,
            expected: ("access1", false),
            applies: true,
        },
        Scene {
            title: "An interface of access2 goes down and up",
            message: interface("access2", UpdateKind::Status)?,
            expected: ("access2", true),
            applies: true,
        },
        Scene {
            title: "An event has a misspelled hostname",
            message: interface("acces2", UpdateKind::Configuration)?,
            expected: ("access2", true),
            applies: false,
        },
        Scene {
            title: "dist2 is provisioned by ZTP, with core1 and an unknown device as neighbors",
            message: provisioned()?,
            expected: ("core1", false),
            applies: true,
        },
        Scene {
            title: "access3 is set to UNMANAGED",
            message: unmanaged()?,
            expected: ("access3", false),
            applies: true,
        },
    ])
}

fn fleet() -> anyhow::Result<Envelope> {
    let names = [
        ("core1", DeviceType::CORE),
        ("dist1", DeviceType::DIST),
        ("access1", DeviceType::ACCESS),
        ("access2", DeviceType::ACCESS),
        ("access3", DeviceType::ACCESS),
    ];
    let devices = names.into_iter().map(|(hostname, device_type)| {
        let device = json!({"hostname": hostname, "device_type": device_type, "platform": "eos", "synchronized": true});
        Ok(serde_json::from_value::<ImportedDevice>(device)?)
    });
    let devices = devices.collect::<anyhow::Result<_>>()?;
    envelope(InventoryImported {
        devices,
        ..InventoryImported::default()
    })
}

fn interface(hostname: &str, kind: UpdateKind) -> anyhow::Result<Envelope> {
    let interfaces = vec![UpdatedInterface {
        name: "Ethernet1".to_owned().try_into()?,
        configuration: None,
    }];
    envelope(InterfaceUpdated {
        hostname: hostname.parse()?,
        interfaces,
        kind,
    })
}

fn provisioned() -> anyhow::Result<Envelope> {
    let neighbor = |interface: &str, hostname: &str| {
        Ok::<_, anyhow::Error>(ProvisionedNeighbor {
            interface: interface.to_owned().try_into()?,
            neighbor_hostname: hostname.parse()?,
            neighbor_interface: "Ethernet7".to_owned().try_into()?,
        })
    };
    envelope(DeviceProvisioned {
        hostname: "dist2".parse()?,
        device_type: DeviceType::DIST,
        platform: "eos".to_owned(),
        management_ip: Some("192.0.2.12".parse()?),
        mac: Some("44:4c:a8:00:00:12".to_owned().try_into()?),
        serial: Some("JPE12".to_owned().try_into()?),
        neighbors: vec![neighbor("Ethernet49", "core1")?, neighbor("Ethernet50", "core9")?],
    })
}

fn unmanaged() -> anyhow::Result<Envelope> {
    let hostname: Hostname = "access3".parse()?;
    let note = Some("waiting for a new power supply".to_owned());
    envelope(DeviceStateRequested {
        hostname,
        state: DeviceState::Unmanaged,
        note,
        until: None,
    })
}

fn envelope(message: impl Into<Message>) -> anyhow::Result<Envelope> {
    let source = Source::try_from("urn:lockstep:demo".to_owned())?;
    Ok(Envelope::new(source, SystemClock.now(), message))
}
