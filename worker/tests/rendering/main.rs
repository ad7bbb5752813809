//! Configurations that a worker renders from clones of real repositories.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use lockstep_git::{Git, Mirror, Remote};
use lockstep_intent::RepositoryKind;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::CommitId;
use lockstep_render::{Bounds, TemplateSecrets, Undefined};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{DeviceId, DeviceSurroundings, FactsDevice, RenderFacts, Schema, StoreError};
use lockstep_sync::{RenderFailure, Renderer};
use lockstep_testbed::Repository;
use lockstep_worker::rendering::{RenderingOptions, SecretSource, WorkerRenderer};
use lockstep_worker::repositories::Source;
use secrecy::ExposeSecret;

/// Two repositories, and a worker with a clone of each.
struct Scene {
    settings: Repository,
    templates: Repository,
    renderer: WorkerRenderer,
    folder: tempfile::TempDir,
}

/// Facts of one firewall, whose configuration needs no others: its id is 1.
#[derive(Debug)]
struct Facts;

#[async_trait]
impl RenderFacts for Facts {
    async fn render_facts(&self, device: DeviceId) -> Result<Option<DeviceSurroundings>, StoreError> {
        let of = |device_type: &str| DeviceSurroundings {
            device: FactsDevice {
                id: device,
                hostname: "fw1".parse().expect("a hostname"),
                device_type: device_type.parse().expect("a type"),
                model: None,
                data: serde_json::Map::from_iter([("infra_ip".to_owned(), "10.0.0.1".into())]),
                primary_group: None,
                groups: Vec::new(),
            },
            management_ip: "10.0.0.1".parse().ok(),
            platform: Some("eos".to_owned()),
            os_version: None,
            interfaces: Vec::new(),
            links: Vec::new(),
            management_domains: Vec::new(),
            cores: Vec::new(),
        };
        Ok(match device.0 {
            1 => Some(of("FIREWALL")),
            2 => Some(of("DIST")),
            _ => None,
        })
    }
}

#[derive(Debug)]
struct Secrets;

impl SecretSource for Secrets {
    fn secrets(&self) -> Result<TemplateSecrets, String> {
        Ok(TemplateSecrets::new([("KEY".to_owned(), "hush".to_owned())]))
    }
}

fn source(kind: RepositoryKind, remote: &Path, folder: &Path) -> Result<Source> {
    let git = Git::new("git", Duration::from_mins(1));
    let remote = Remote::new(&remote.display().to_string(), "main")?;
    Ok(Source {
        kind,
        mirror: Mirror::new(git, remote, folder.join(format!("{kind}.git"))),
        types: Arc::new(DeviceTypes::default()),
    })
}

impl Scene {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let settings = Repository::init(&folder.path().join("settings"))?;
        let templates = Repository::init(&folder.path().join("templates"))?;
        let store = SqliteStore::open(SqliteOptions::new(folder.path().join("store.sqlite")))?;
        store.migrate().await?;
        let clones = folder.path().join("clones");
        let sources = [
            source(RepositoryKind::Settings, settings.path(), &clones)?,
            source(RepositoryKind::Templates, templates.path(), &clones)?,
        ];
        let options = RenderingOptions {
            undefined: Undefined::Lenient,
            bounds: Bounds::default(),
            cache: 1 << 20,
            secrets: Arc::new(Secrets),
        };
        let renderer = WorkerRenderer::new(&sources, Arc::default(), Arc::new(Facts), store, options);
        Ok(Self {
            settings,
            templates,
            renderer,
            folder,
        })
    }

    /// Commits a name for the devices.
    fn set(&self, domain: &str) -> Result<CommitId> {
        let text = format!("domain_name: {domain}\n");
        self.settings.write("global/base_system.yml", text.as_bytes())?;
        Ok(self.settings.commit(domain)?.parse()?)
    }

    /// Commits a template for the devices.
    fn write(&self, template: &str) -> Result<CommitId> {
        let mapping = b"FIREWALL: {entrypoint: fw.j2}\nDIST: {entrypoint: fw.j2}\n";
        self.templates.write("eos/mapping.yml", mapping)?;
        self.templates.write("eos/fw.j2", template.as_bytes())?;
        Ok(self.templates.commit("template")?.parse()?)
    }

    async fn render(&self, settings: &CommitId, templates: &CommitId) -> Result<String, RenderFailure> {
        self.renderer.render(DeviceId(1), settings, templates).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_rendered_from_the_pinned_commits_whatever_lands_meanwhile() -> Result<()> {
    let scene = Scene::new().await?;
    let (old, template) = (
        scene.set("old.example.org")?,
        scene.write("{{ hostname }}.{{ domain_name }} {{ TEMPLATE_SECRET_KEY }}\n")?,
    );
    assert_eq!(scene.render(&old, &template).await?, "fw1.old.example.org hush\n");
    // Commits that the clones do not have yet are fetched.
    let (new, other) = (scene.set("new.example.org")?, scene.write("{{ domain_name }}\n")?);
    assert_eq!(scene.render(&new, &other).await?, "new.example.org\n");
    assert_eq!(scene.render(&old, &template).await?, "fw1.old.example.org hush\n");
    assert_eq!(scene.render(&new, &template).await?, "fw1.new.example.org hush\n");
    let secrets = scene.renderer.secrets();
    assert_eq!(
        secrets
            .iter()
            .map(ExposeSecret::expose_secret)
            .collect::<Vec<_>>(),
        ["hush"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_at_once_wait_for_one_fetch() -> Result<()> {
    let scene = Scene::new().await?;
    let (settings, templates) = (scene.set("a.example.org")?, scene.write("{{ domain_name }}")?);
    let renders = (0..32).map(|_| scene.render(&settings, &templates));
    for rendered in futures_util::future::join_all(renders).await {
        assert_eq!(rendered?, "a.example.org");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_name_another_branch_of_the_templates() -> Result<()> {
    let scene = Scene::new().await?;
    let main = scene.write("main\n")?;
    scene.templates.git(&["checkout", "-q", "-b", "Feature/next"])?;
    scene.write("next\n")?;
    let before = scene.set("a.example.org")?;
    let groups =
        "groups: [{group: {name: FW, regex: 'fw', group_priority: 5, templates_branch: Feature/next}}]\n";
    scene.settings.write("global/groups.yml", groups.as_bytes())?;
    let after: CommitId = scene.settings.commit("groups")?.parse()?;
    assert_eq!(scene.render(&before, &main).await?, "main\n");
    assert_eq!(scene.render(&after, &main).await?, "next\n");
    scene.settings.write(
        "global/groups.yml",
        groups.replace("Feature/next", "none").as_bytes(),
    )?;
    let unknown: CommitId = scene.settings.commit("groups")?.parse()?;
    let failure = scene.render(&unknown, &main).await.unwrap_err();
    ensure!(
        matches!(&failure, RenderFailure::Invalid(text) if text.contains("no branch \"none\"")),
        "{failure:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_to_change_is_invalid_and_names_its_place() -> Result<()> {
    let scene = Scene::new().await?;
    let (settings, templates) = (scene.set("a.example.org")?, scene.write("x\n{{ y.z.u }}\n")?);
    let gone: CommitId = "1".repeat(40).parse()?;
    let broken: CommitId = {
        scene.settings.write("global/base_system.yml", b"- a\n")?;
        scene.settings.commit("broken")?.parse()?
    };
    let evpn: CommitId = {
        scene
            .settings
            .write("global/base_system.yml", b"evpn_peers: [{hostname: c9}]\n")?;
        scene.settings.commit("peers")?.parse()?
    };
    let table = [
        (1, &settings, &templates, "eos/fw.j2:2"),
        (
            1,
            &broken,
            &templates,
            "global/base_system.yml:1:1: must be a map of settings",
        ),
        (1, &gone, &templates, "the branch main has no commit 1111"),
        (1, &settings, &gone, "the branch main has no commit 1111"),
        (2, &evpn, &templates, "evpn_peers in its settings names c9"),
        (3, &settings, &templates, "there is no device 3 any more"),
    ];
    for (device, settings, templates, expected) in table {
        let failure = scene
            .renderer
            .render(DeviceId(device), settings, templates)
            .await
            .unwrap_err();
        ensure!(
            matches!(&failure, RenderFailure::Invalid(text) if text.contains(expected)),
            "{expected}: {failure:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_cannot_be_read_now_is_unavailable_and_works_later() -> Result<()> {
    let scene = Scene::new().await?;
    let (settings, templates) = (scene.set("a.example.org")?, scene.write("{{ domain_name }}\n")?);
    let away = scene.folder.path().join("away");
    std::fs::rename(scene.settings.path(), &away)?;
    let failure = scene.render(&settings, &templates).await.unwrap_err();
    ensure!(matches!(&failure, RenderFailure::Unavailable(_)), "{failure:?}");
    std::fs::rename(&away, scene.settings.path()).context("back")?;
    assert_eq!(scene.render(&settings, &templates).await?, "a.example.org\n");
    Ok(())
}
