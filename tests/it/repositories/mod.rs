//! Pushes to settings and templates: exactly the right devices are flagged, whatever git, forges, workers and operators do.

mod clocks;
mod deleted;
mod device_types;
mod groups;
mod hostile;
mod killed;
mod poison;
mod pushes;
mod remotes;
mod stopped;
mod told;
mod trees;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use lockstep_bus::Bus;
use lockstep_protocol::commands::{RepositoryAcceptRequested, RepositoryRefreshRequested};
use lockstep_protocol::events::{InventoryImported, RepositoryChanged};
use lockstep_protocol::{Envelope, Identity, RepositoryName};
use lockstep_testbed::{Repository, wait};
use serde_json::{Value, json};

use crate::system::load::{envelope, outgoing};
use crate::system::{Ground, PATIENCE, Process, Scene};

/// A scene with two repositories and a small fleet.
struct Site {
    scene: Scene,
    settings: Repository,
    templates: Repository,
}

/// Hostname, device type and platform.
const FLEET: [(&str, &str, &str); 6] = [
    ("access1", "ACCESS", "eos"),
    ("access2", "ACCESS", "junos"),
    ("dist1", "DIST", "eos"),
    ("core1", "CORE", "eos"),
    ("fw1", "FIREWALL", "eos"),
    ("new1", "UNKNOWN", "eos"),
];

const NOWHERE: &str = "0000000000000000000000000000000000000000";

impl Site {
    async fn new(ground: Ground) -> Result<Self> {
        let scene = Scene::new(ground).await?;
        let settings = Repository::init(&scene.folder().join("origin/settings"))?;
        let templates = Repository::init(&scene.folder().join("origin/templates"))?;
        for folder in ["global", "access", "dist", "core", "devices/dist1"] {
            settings.write(format!("{folder}/base_system.yml"), b"dns_servers: []\n")?;
        }
        let groups = "groups:\n  - group: {name: EDGE, regex: access, group_priority: 10}\n";
        settings.write("global/groups.yml", groups.as_bytes())?;
        settings.commit("settings")?;
        templates.write(
            "eos/mapping.yml",
            b"ACCESS: {entrypoint: access.j2, dependencies: [base.j2]}\n",
        )?;
        templates.write("eos/access.j2", b"hostname {{ hostname }}\n")?;
        templates.commit("templates")?;
        let site = Self {
            scene,
            settings,
            templates,
        };
        let devices: Vec<Value> = FLEET
            .iter()
            .map(|(hostname, kind, platform)| {
                json!({"hostname": hostname, "device_type": kind, "platform": platform, "state": "MANAGED", "synchronized": true})
            })
            .collect();
        let fleet: InventoryImported = serde_json::from_value(json!({"devices": devices}))?;
        site.publish(&[envelope(fleet)]).await?;
        Ok(site)
    }

    /// A site with both tips accepted, so that only later commits set flags.
    async fn accepted(ground: Ground) -> Result<(Self, Process)> {
        let site = Self::new(ground).await?;
        let worker = site.worker(&[])?;
        for (name, repository) in [("settings", &site.settings), ("templates", &site.templates)] {
            let commit = repository.git(&["rev-parse", "HEAD"])?.trim().parse()?;
            let repository = repository_name(name);
            let accept = envelope(RepositoryAcceptRequested { repository, commit });
            site.publish(std::slice::from_ref(&accept)).await?;
            let outcome = site.outcome(&accept).await?;
            ensure!(
                outcome["outcome"] == "applied" && outcome["flipped"] == 0,
                "{outcome}"
            );
        }
        Ok((site, worker))
    }

    fn environment(&self) -> Vec<(String, String)> {
        let url = |name: &str| {
            self.scene
                .folder()
                .join("origin")
                .join(name)
                .display()
                .to_string()
        };
        let pairs = [
            ("SETTINGS__URL", url("settings")),
            ("TEMPLATES__URL", url("templates")),
            ("POLL_SECONDS", "3600".to_owned()),
            ("DEBOUNCE_MS", "50".to_owned()),
        ];
        pairs
            .into_iter()
            .map(|(key, value)| (format!("LOCKSTEP__REPOSITORIES__{key}"), value))
            .collect()
    }

    /// Starts a worker with its own data folder.
    fn worker(&self, more: &[(&str, &str)]) -> Result<Process> {
        let environment = self.environment();
        let mut all: Vec<(&str, &str)> = environment
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        all.extend(more);
        self.scene.worker(&all)
    }

    async fn publish(&self, messages: &[Envelope]) -> Result<()> {
        let bus: Arc<dyn Bus> = self.scene.bus().await?;
        bus.publish(messages.iter().map(outgoing).collect()).await?;
        bus.close().await;
        Ok(())
    }

    async fn record(&self, identity: &Identity) -> Result<(String, Value)> {
        let records = self.scene.oracle().records;
        let found = wait::until("the message to be processed", PATIENCE, async || {
            match records.inbox().await {
                Ok(mut inbox) => inbox.remove(identity).ok_or_else(|| "no inbox row".to_owned()),
                Err(error) => Err(format!("{error:#}")),
            }
        });
        let record = found.await?;
        Ok((record.state, record.result))
    }

    /// Waits for a message, which must be applied, and returns its result.
    async fn outcome(&self, message: &Envelope) -> Result<Value> {
        let (state, result) = self.record(&message.identity).await?;
        ensure!(state == "applied", "{result}");
        Ok(result)
    }

    /// Waits for a message, which must be dead-lettered, and returns its rejection.
    async fn rejection(&self, message: &Envelope) -> Result<Value> {
        let (state, result) = self.record(&message.identity).await?;
        ensure!(state == "dead", "{result}");
        Ok(result)
    }

    /// Number of flags of each device that was flagged.
    async fn flags(&self) -> Result<BTreeMap<String, i64>> {
        let devices = self.scene.oracle().records.devices().await?;
        let flagged = devices
            .into_iter()
            .map(|(hostname, generations)| (hostname.to_string(), generations.desired - generations.synced));
        Ok(flagged.filter(|(_, flags)| *flags > 0).collect())
    }

    async fn ensure_flags(&self, expected: &[(&str, i64)]) -> Result<()> {
        let flags = self.flags().await?;
        let expected: BTreeMap<String, i64> = expected
            .iter()
            .map(|(hostname, flags)| ((*hostname).to_owned(), *flags))
            .collect();
        ensure!(flags == expected, "{flags:?} instead of {expected:?}");
        Ok(())
    }
}

fn repository_name(name: &str) -> RepositoryName {
    name.to_owned().try_into().expect("it is a name")
}

fn push_to(repository: &str, branch: &str, after: &str) -> Result<Envelope> {
    Ok(envelope(RepositoryChanged {
        repository: repository_name(repository),
        branch: branch.to_owned(),
        before: NOWHERE.parse()?,
        after: after.parse()?,
        forced: false,
        paths: None,
    }))
}

fn push(after: &str) -> Result<Envelope> {
    push_to("settings", "main", after)
}

fn refresh(repository: &str) -> Envelope {
    let repository = repository_name(repository);
    envelope(RepositoryRefreshRequested { repository })
}
