//! `lockstep doctor`: its set-up is enough for all roles, and it reports missing parts.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions};
use lockstep_protocol::schema;
use lockstep_protocol::topology::{Lane, Queue, Topology};
use lockstep_testbed::{Schema, Vhost};
use serde_json::Value;

use crate::system::load::{hostname, outgoing, update};

/// An administrator who installs Lockstep on a broker and a database.
struct Installer {
    vhost: Vhost,
    schema: Schema,
    folder: tempfile::TempDir,
    /// Users are global to the broker, so each test has its own user names.
    prefix: String,
}

impl Installer {
    async fn new() -> Result<Self> {
        let vhost = lockstep_testbed::vhost().await?;
        let prefix = format!("set{}", vhost.name().trim_start_matches("test"));
        for role in ["setup", "worker", "gateway", "console", "monitor"] {
            vhost.adopt_user(&format!("{prefix}-{role}"));
        }
        vhost.adopt_user(&format!("{prefix}-netbox"));
        Ok(Self {
            schema: lockstep_testbed::schema().await?,
            folder: tempfile::tempdir()?,
            vhost,
            prefix,
        })
    }

    /// Runs `lockstep` with this broker address, and optionally the address of its management.
    async fn run(&self, broker: &str, management: bool, line: &str) -> Result<Output> {
        let management = management.then(|| self.vhost.management_url());
        self.run_with(broker, management, line).await
    }

    async fn run_with(&self, broker: &str, management: Option<String>, line: &str) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env("LOCKSTEP__BROKER__URL", broker)
            .env("LOCKSTEP__STORE__URL", self.schema.url());
        if let Some(url) = management {
            command.env("LOCKSTEP_MANAGEMENT_URL", url);
        }
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// Runs the set-up and returns its output.
    async fn set_up(&self, more: &str) -> Result<Value> {
        let line = format!(
            "doctor --setup-broker --user-prefix {0} --producer {0}-netbox=lockstep.interface.* --json {more}",
            self.prefix
        );
        let output = self.run(&self.vhost.url(), true, &line).await?;
        let errors = text(&output.stderr);
        ensure!(output.status.success(), "{errors}");
        for password in self.passwords()? {
            ensure!(
                !text(&output.stdout).contains(&password) && !errors.contains(&password),
                "a password was printed"
            );
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn address(&self, role: &str) -> Result<String> {
        let name = if role == "monitor" {
            "management-url"
        } else {
            "broker-url"
        };
        let file = self.folder.path().join("secrets").join(role).join(name);
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(text.trim().to_owned())
    }

    fn passwords(&self) -> Result<Vec<String>> {
        let Ok(folders) = std::fs::read_dir(self.folder.path().join("secrets")) else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for folder in folders {
            let name = folder?.file_name().to_string_lossy().into_owned();
            let address = self.address(&name)?;
            let login = address.split('@').next().context("no login")?;
            all.push(login.rsplit(':').next().context("no password")?.to_owned());
        }
        Ok(all)
    }

    /// The findings of the doctor by check, and its exit code.
    async fn asks(&self, broker: &str, management: bool, more: &str) -> Result<(Option<i32>, Vec<Finding>)> {
        let output = self
            .run(broker, management, &format!("doctor --json {more}"))
            .await?;
        findings(&output)
    }

    /// The same with this address of the management API.
    async fn asks_with(&self, broker: &str, management: String) -> Result<(Option<i32>, Vec<Finding>)> {
        findings(&self.run_with(broker, Some(management), "doctor --json").await?)
    }
}

fn findings(output: &Output) -> Result<(Option<i32>, Vec<Finding>)> {
    let findings: Vec<Value> =
        serde_json::from_slice(&output.stdout).with_context(|| text(&output.stderr))?;
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let findings = findings.iter().map(|finding| Finding {
        check: word(finding, "check"),
        state: word(finding, "state"),
        said: word(finding, "said"),
        advice: word(finding, "advice"),
    });
    Ok((output.status.code(), findings.collect()))
}

#[derive(Debug)]
struct Finding {
    check: String,
    state: String,
    said: String,
    advice: String,
}

fn of<'a>(findings: &'a [Finding], check: &str) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.check == check).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn counts(report: &Value) -> Result<(usize, usize, usize)> {
    let steps = report["steps"].as_array().context("no steps")?;
    let count = |word: &str| steps.iter().filter(|step| step["done"] == word).count();
    Ok((count("made"), count("changed"), count("kept")))
}

fn is_private(file: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(file)?.permissions().mode().trailing_zeros() >= 6)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_is_enough_for_each_role_and_is_repeatable() -> Result<()> {
    let installer = Installer::new().await?;
    installer.vhost.vanish().await?;

    let report = installer.set_up("--credentials secrets --dry-run").await?;
    let (made, changed, kept) = counts(&report)?;
    ensure!(made > 10 && (changed, kept) == (0, 0), "{report}");
    ensure!(
        !installer.vhost.exists().await? && installer.passwords()?.is_empty(),
        "a dry run changed the broker"
    );

    let first = installer.set_up("--credentials secrets").await?;
    let (again_made, again_changed, _) = counts(&first)?;
    ensure!(again_made == made && again_changed == 0, "{report}\n{first}");
    ensure!(
        installer.passwords()?.len() == 5,
        "each user except the set-up user has a file"
    );
    ensure!(is_private(
        &installer.folder.path().join("secrets/worker/broker-url")
    )?);
    let worker = installer.address("worker")?;

    let second = installer.set_up("--credentials secrets").await?;
    let (made, changed, kept) = counts(&second)?;
    ensure!((made, changed) == (0, 0) && kept > 10, "{second}");
    ensure!(installer.address("worker")? == worker, "the password changed");

    let output = installer.run(&worker, false, "migrate").await?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    for role in ["worker", "gateway", "console"] {
        let (code, findings) = installer
            .asks(&installer.address(role)?, true, &format!("--role {role}"))
            .await?;
        ensure!(code == Some(0), "{role}: {findings:#?}");
        for check in [
            "broker",
            "broker objects",
            "broker rights",
            "broker version",
            "alternate exchanges",
            "broker policies",
            "broker alarms",
            "broker's clock",
        ] {
            let found = of(&findings, check);
            ensure!(
                found.len() == 1 && found[0].state == "ok",
                "{role} {check}: {findings:#?}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_an_operator_are_reverted_and_credentials_change_on_request() -> Result<()> {
    let installer = Installer::new().await?;
    let without = installer
        .run(
            &installer.vhost.url(),
            true,
            &format!("doctor --setup-broker --user-prefix {}", installer.prefix),
        )
        .await?;
    ensure!(
        without.status.code() == Some(1) && text(&without.stderr).contains("--credentials"),
        "{without:?}"
    );

    installer.set_up("--credentials secrets").await?;
    let worker = installer.address("worker")?;
    let name = format!("{}-worker", installer.prefix);
    installer.vhost.set_permissions(&name, "^$", "^$", "^$").await?;
    let (code, findings) = installer.asks(&worker, false, "").await?;
    let rights = of(&findings, "broker rights");
    ensure!(code == Some(1) && rights[0].state == "failed", "{findings:#?}");
    ensure!(
        rights[0].said.contains("publish to lockstep.work"),
        "{findings:#?}"
    );
    ensure!(rights[0].advice.contains("--setup-broker"), "{findings:#?}");

    let report = installer
        .set_up("--credentials secrets --max-length 5000")
        .await?;
    let (made, changed, _) = counts(&report)?;
    ensure!((made, changed) == (0, 2), "rights and policy: {report}");

    std::fs::remove_dir_all(installer.folder.path().join("secrets"))?;
    installer.set_up("--credentials secrets").await?;
    ensure!(
        installer.passwords()?.is_empty(),
        "passwords stay unless a renewal is requested"
    );
    let connected = AmqpBus::connect(AmqpOptions::new(worker.clone())).await;
    ensure!(connected.is_ok(), "the old password is not valid any more");
    installer
        .set_up("--credentials secrets --renew-passwords")
        .await?;
    ensure!(installer.address("worker")? != worker);
    let (code, findings) = installer.asks(&worker, false, "").await?;
    let broker = of(&findings, "broker");
    ensure!(code == Some(1) && broker[0].state == "failed", "{findings:#?}");
    ensure!(broker[0].said.contains("user, password"), "{findings:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_parts_are_reported_with_advice() -> Result<()> {
    let installer = Installer::new().await?;
    let owner = installer.vhost.url();

    let (code, findings) = installer.asks(&owner, false, "").await?;
    ensure!(code == Some(1), "{findings:#?}");
    let objects = of(&findings, "broker objects");
    ensure!(
        objects[0].state == "failed" && objects[0].said.contains("lockstep.events"),
        "{findings:#?}"
    );
    let store = of(&findings, "store");
    ensure!(
        store[0].state == "failed" && store[0].advice.contains("lockstep migrate"),
        "{findings:#?}"
    );
    for check in ["broker version", "broker alarms", "consumer time-out"] {
        ensure!(
            of(&findings, check)[0].state == "unknown",
            "{check}: {findings:#?}"
        );
    }
    for finding in &findings {
        ensure!(
            (finding.state == "ok") == finding.advice.is_empty(),
            "{finding:?}"
        );
    }

    let bus = AmqpBus::connect(AmqpOptions::new(owner.clone())).await?;
    bus.declare(&Topology::new(1.0)).await?;
    bus.close().await;
    let output = installer.run(&owner, false, "migrate").await?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let (code, findings) = installer.asks(&owner, true, "").await?;
    ensure!(code == Some(0), "{findings:#?}");
    let rights = of(&findings, "broker rights");
    ensure!(
        rights.len() == 2 && rights[1].state == "warning",
        "the owner of the virtual host has more rights than a worker needs: {findings:#?}"
    );
    ensure!(
        of(&findings, "broker policies")[0].state == "warning",
        "{findings:#?}"
    );
    ensure!(of(&findings, "store")[0].state == "ok", "{findings:#?}");
    ensure!(
        of(&findings, "database's clock")[0].state == "ok",
        "{findings:#?}"
    );

    let queue = Lane::Devices.queue();
    installer.vhost.delete_queue(queue).await?;
    let (code, findings) = installer.asks(&owner, false, "").await?;
    ensure!(
        code == Some(1) && of(&findings, "broker objects")[0].said.contains(queue),
        "{findings:#?}"
    );
    Ok(())
}

/// The administrator imports the definitions file and sets passwords elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn imported_definitions_are_the_topology_and_allow_no_login() -> Result<()> {
    let installer = Installer::new().await?;
    let definitions = schema::broker_definitions(installer.vhost.name(), &installer.prefix);
    for _ in 0..2 {
        installer.vhost.import(definitions.clone()).await?;
    }
    let bus = AmqpBus::connect(AmqpOptions::new(installer.vhost.url())).await?;
    // The broker rejects an object with other arguments.
    bus.declare(&Topology::new(1.0)).await?;
    bus.close().await;
    let address = installer.vhost.url();
    let (scheme, rest) = address.split_once("://").context("no scheme")?;
    let (_, place) = rest.rsplit_once('@').context("no login")?;
    for password in ["", "x"] {
        let url = format!("{scheme}://{}-worker:{password}@{place}", installer.prefix);
        ensure!(
            AmqpBus::connect(AmqpOptions::new(url)).await.is_err(),
            "password {password:?}"
        );
    }
    let report = installer
        .set_up("--credentials secrets --renew-passwords")
        .await?;
    let steps = report["steps"].as_array().context("no steps")?;
    let others: Vec<&Value> = steps
        .iter()
        .filter(|step| {
            step["done"] != "kept"
                && step["done"] != "declared"
                && !step["what"].as_str().unwrap_or_default().contains("netbox")
        })
        .collect();
    // Only passwords are new: the file and the set-up agree.
    ensure!(
        others.len() == 4 && others.iter().all(|step| step["done"] == "changed"),
        "{others:?}"
    );
    Ok(())
}

/// It may read the list of policies, and not one by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_monitor_of_the_set_up_may_read_all_that_is_checked() -> Result<()> {
    let installer = Installer::new().await?;
    installer.set_up("--credentials secrets").await?;
    let worker = installer.address("worker")?;
    let monitor = installer.address("monitor")?;
    let (_, findings) = installer.asks_with(&worker, monitor.clone()).await?;
    for check in [
        "broker version",
        "broker alarms",
        "broker's clock",
        "alternate exchanges",
        "broker policies",
    ] {
        let found = of(&findings, check);
        ensure!(
            found.len() == 1 && found[0].state == "ok",
            "{check}: {findings:#?}"
        );
    }
    ensure!(
        of(&findings, "broker policies")[0]
            .said
            .contains("100000 messages"),
        "{findings:#?}"
    );

    // What it may not read is unknown, with the right that it lacks, and the rest is checked.
    installer
        .vhost
        .clear_permissions(&format!("{}-monitor", installer.prefix))
        .await?;
    let (_, findings) = installer.asks_with(&worker, monitor).await?;
    ensure!(of(&findings, "broker version")[0].state == "ok", "{findings:#?}");
    for finding in &findings {
        ensure!(
            finding.state != "unknown"
                || !finding.said.contains("rejects")
                || finding.advice.contains("virtual host"),
            "{finding:?}"
        );
    }

    // A user without the tag.
    let (_, place) = installer
        .vhost
        .management_url()
        .rsplit_once('@')
        .map(|(login, place)| (login.to_owned(), place.to_owned()))
        .context("no login")?;
    let (login, _) = worker.rsplit_once('@').context("no login")?;
    let login = login.rsplit_once("//").context("no scheme")?.1;
    let (code, findings) = installer
        .asks_with(&worker, format!("http://{login}@{place}"))
        .await?;
    let version = of(&findings, "broker version");
    ensure!(
        code == Some(1) && version[0].said.contains("the tag `monitoring`"),
        "{findings:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_nobody_consumes_are_a_failure_without_the_management_api() -> Result<()> {
    let installer = Installer::new().await?;
    installer.set_up("--credentials secrets").await?;
    let worker = installer.address("worker")?;
    let output = installer.run(&worker, false, "migrate").await?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let (code, findings) = installer.asks(&worker, false, "").await?;
    let lanes = of(&findings, "lanes");
    ensure!(
        code == Some(0) && lanes.len() == 1 && lanes[0].state == "warning",
        "nobody consumes, but nothing waits: {findings:#?}"
    );

    let bus = AmqpBus::connect(AmqpOptions::new(installer.vhost.url())).await?;
    let bus: &dyn Bus = &*bus;
    let update = outgoing(&update(&hostname(1)));
    bus.publish(vec![update.clone(), update]).await?;
    for role in ["worker", "gateway", "console"] {
        let address = installer.address(role)?;
        let (code, findings) = installer.asks(&address, false, &format!("--role {role}")).await?;
        let failed = of(&findings, "lanes")
            .into_iter()
            .find(|lane| lane.state == "failed");
        ensure!(
            code == Some(1)
                && failed.is_some_and(
                    |lane| lane.said == "nobody consumes lane events (2 messages wait)"
                        && lane.advice.starts_with("start a worker with that lane")
                ),
            "{role}: {findings:#?}"
        );
    }

    let mut consumers = Vec::new();
    for lane in Lane::ALL {
        let options = ConsumeOptions {
            prefetch: 1,
            acknowledge: Acknowledge::Each,
        };
        consumers.push(bus.consume(Queue::Lane(*lane), options).await?);
    }
    let (code, findings) = installer.asks(&worker, false, "").await?;
    let lanes = of(&findings, "lanes");
    ensure!(
        code == Some(0) && lanes.len() == 1 && lanes[0].state == "ok",
        "{findings:#?}"
    );
    bus.close().await;
    Ok(())
}
