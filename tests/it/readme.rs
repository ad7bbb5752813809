//! Runs the commands of the README, in a shell in an empty folder: settings in git, and a production installation.

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{Database, Vhost, free_port, wait};

use crate::system::{PATIENCE, Process, shell};

/// The shell code blocks of a section.
fn blocks(section: &str) -> Result<Vec<&'static str>> {
    let readme: &str = include_str!("../../README.md");
    let (_, rest) = readme
        .split_once(&format!("\n## {section}\n"))
        .context("no such section")?;
    let text = rest.split_once("\n## ").map_or(rest, |(text, _)| text);
    let blocks = text.split("```sh\n").skip(1);
    Ok(blocks.filter_map(|block| block.split("```").next()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_in_git_work_as_typed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let fleet = "- {hostname: sw1, device_type: ACCESS, platform: eos, synchronized: true}\n\
                 - {hostname: sw2, device_type: ACCESS, platform: eos, synchronized: true}\n\
                 - {hostname: core1, device_type: CORE, platform: eos}\n";
    ensure!(
        include_str!("../../README.md").contains(fleet),
        "the fleet of the README"
    );
    std::fs::write(folder.path().join("fleet.yml"), fleet)?;
    let blocks = blocks("Settings in git")?;
    let [begin, change, push] = blocks[..] else {
        anyhow::bail!("{} blocks", blocks.len());
    };

    let (make, up) = begin.split_once("\nexport ").context("exports")?;
    shell(folder.path(), make)?;
    let exports: Vec<(String, String)> = up
        .lines()
        .filter_map(|line| line.trim_start_matches("export ").split_once('='))
        .map(|(name, value)| {
            let here = folder.path().display().to_string();
            (name.to_owned(), value.replace("$PWD", &here))
        })
        .collect();
    ensure!(exports.len() == 2 && up.ends_with("lockstep up\n"), "{up}");
    let gateway = format!("127.0.0.1:{}", free_port()?);
    let arguments = ["up", "--listen", "127.0.0.1:0", "--gateway-listen", &gateway];
    let lockstep = Process::start(folder.path(), &arguments, &exports)?;
    wait::until("lockstep to be up", PATIENCE, async || {
        let log = lockstep.log().map_err(|error| error.to_string())?;
        if log.contains("lockstep is up") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await?;

    let out = shell(folder.path(), change)?;
    let concerned: Vec<&str> = out.lines().filter(|line| line.ends_with("ACCESS  eos")).collect();
    ensure!(concerned.len() == 2 && !out.contains("core1"), "{out}");
    let before = shell(
        folder.path(),
        "lockstep devices list --unsynchronized --type ACCESS --json",
    )?;
    ensure!(before.trim() == "[]", "{before}");

    ensure!(push.contains("http://127.0.0.1:8911/"), "{push}");
    let out = shell(folder.path(), &push.replace("127.0.0.1:8911", &gateway))?;
    ensure!(out.contains("\"messages\""), "{out}");
    wait::until("the flags", PATIENCE, async || {
        let list = shell(
            folder.path(),
            "lockstep devices list --unsynchronized --type ACCESS",
        );
        let list = list.map_err(|error| format!("{error:#}"))?;
        let flagged = |hostname: &str| {
            list.lines()
                .any(|line| line.starts_with(hostname) && line.ends_with("refresh_settings"))
        };
        if flagged("sw1") && flagged("sw2") {
            Ok(())
        } else {
            Err(list)
        }
    })
    .await?;
    let tip = shell(folder.path(), "git -C settings rev-parse HEAD")?;
    let list = shell(folder.path(), "lockstep repositories list --json")?;
    ensure!(list.contains(tip.trim()), "{list}");
    lockstep.stop().await
}

/// The servers of an installation, and what stands in the README in their place.
struct Servers {
    vhost: Vhost,
    database: Database,
    prefix: String,
}

impl Servers {
    async fn new() -> Result<Self> {
        let vhost = lockstep_testbed::vhost().await?;
        let prefix = format!("readme{}", vhost.name().trim_start_matches("test"));
        for role in ["setup", "worker", "gateway", "console", "monitor"] {
            vhost.adopt_user(&format!("{prefix}-{role}"));
        }
        vhost.vanish().await?;
        let database = Database::start().await?;
        database.require_passwords().await?;
        let (client, connection) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("CREATE DATABASE lockstep").await?;
        Ok(Self {
            vhost,
            database,
            prefix,
        })
    }

    fn replace(&self, text: &str) -> String {
        let replacements = [
            ("amqp://rabbitmq:5672/lockstep", self.vhost.url()),
            (
                "http://ADMIN:PASSWORD@rabbitmq:15672",
                self.vhost.management_url(),
            ),
            (
                "postgres://ADMIN:PASSWORD@postgres/lockstep",
                self.database.url().replace("/postgres", "/lockstep"),
            ),
            (
                "--credentials secrets",
                format!("--credentials secrets --user-prefix {}", self.prefix),
            ),
            (
                "lockstep-gateway,lockstep-console",
                format!("{0}-gateway,{0}-console", self.prefix),
            ),
        ];
        let mut text = text.to_owned();
        for (from, to) in replacements {
            text = text.replace(from, &to);
        }
        text
    }
}

/// Names and values.
type Variables = Vec<(String, String)>;

/// The commands of a block that run in the background: the name of the role, and its environment with what was exported before.
fn background(block: &str) -> Result<Vec<(String, Variables)>> {
    let block = block.replace("\\\n", " ");
    let (mut exported, mut commands) = (Vec::new(), Vec::new());
    for line in block
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let variables: Variables = words
            .iter()
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        match words[..] {
            ["export", ..] => exported.extend(variables),
            [.., "lockstep", role, "&"] => commands.push((role.to_owned(), variables)),
            _ => anyhow::bail!("{line}"),
        }
    }
    for (_, variables) in &mut commands {
        variables.extend(exported.clone());
    }
    Ok(commands)
}

#[tokio::test(flavor = "multi_thread")]
async fn private_a_production_installation_works_as_typed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let servers = Servers::new().await?;
    let blocks = blocks("Run it for real")?;
    let [set_up, start, client] = blocks[..] else {
        anyhow::bail!("{} blocks", blocks.len());
    };
    let set_up = servers.replace(set_up);
    let first = shell(folder.path(), &set_up)?;
    ensure!(first.contains("created") && first.contains("granted"), "{first}");
    // After an upgrade.
    let second = shell(folder.path(), &set_up)?;
    let changes = |line: &&str| line.starts_with("created") || line.starts_with("changed");
    let changes: Vec<&str> = second.lines().filter(changes).collect();
    ensure!(changes.is_empty(), "{changes:?}");

    let (console, gateway) = (free_port()?, free_port()?);
    let mut roles = Vec::new();
    for (role, mut environment) in background(&servers.replace(start))? {
        let exports: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("export {name}='{value}'\n"))
            .collect();
        let doctor = format!("{}lockstep doctor --role {role}", exports.concat());
        let said = shell(folder.path(), &doctor)?;
        ensure!(said.contains("ok       broker rights"), "{said}");
        if role != "gateway" {
            ensure!(said.contains("ok       database rights"), "{said}");
        }
        let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning")).collect();
        // No worker runs yet.
        let expected = |line: &&str| {
            line.contains("no repository is configured")
                || line.contains("no message waits there")
                || line.contains("no credentials are configured")
        };
        ensure!(
            said.contains(" 0 failed") && warnings.iter().all(expected),
            "{said}"
        );
        environment.push((
            "LOCKSTEP__CONSOLE__LISTEN".to_owned(),
            format!("127.0.0.1:{console}"),
        ));
        environment.push((
            "LOCKSTEP__GATEWAY__LISTEN".to_owned(),
            format!("127.0.0.1:{gateway}"),
        ));
        roles.push((
            role.clone(),
            Process::start(folder.path(), &[role.as_str()], &environment)?,
        ));
    }
    let names: Vec<&str> = roles.iter().map(|(role, _)| role.as_str()).collect();
    ensure!(names == ["worker", "gateway", "console"], "{names:?}");

    let client = client.replace("127.0.0.1:8910", &format!("127.0.0.1:{console}"));
    wait::until("the console to answer", PATIENCE, async || {
        shell(folder.path(), &client).map_err(|error| format!("{error:#}"))
    })
    .await?;
    std::fs::write(
        folder.path().join("fleet.yml"),
        "- {hostname: sw1, device_type: ACCESS, platform: eos}\n",
    )?;
    let listed = shell(
        folder.path(),
        &client.replace(
            "lockstep devices list",
            "lockstep devices import fleet.yml && lockstep devices list",
        ),
    )?;
    ensure!(listed.contains("sw1"), "{listed}");

    let stolen = std::fs::read_to_string(folder.path().join("secrets/worker/store-url"))?;
    let stolen = stolen.trim().replace(
        &format!("{}-worker", servers.prefix),
        &format!("{}-migrate", servers.prefix),
    );
    let refused = tokio_postgres::connect(&stolen, tokio_postgres::NoTls)
        .await
        .err();
    let refused = refused.context("the password of the worker opens the login that owns the schema")?;
    ensure!(
        refused.code() == Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD),
        "{refused:?}"
    );
    // A gateway has no login at all.
    ensure!(!folder.path().join("secrets/gateway/store-url").exists());
    let gateway = stolen.replace("-migrate", "-gateway");
    ensure!(
        tokio_postgres::connect(&gateway, tokio_postgres::NoTls)
            .await
            .is_err()
    );
    for (_, process) in roles {
        process.stop().await?;
    }
    Ok(())
}
